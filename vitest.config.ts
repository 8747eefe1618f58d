import { defineConfig } from 'vitest/config';

const MINUTE_MS = 60_000;

/** Property tests draw many cases; integration tests start whole programs, on slow machines too. */
const TIMEOUTS_MS = {
  unit: 20_000,
  property: MINUTE_MS,
  golden: MINUTE_MS,
  integration: 2 * MINUTE_MS,
  e2e: 2 * MINUTE_MS,
};
/** They run what was built. */
const BUILT = new Set(['integration', 'e2e']);

/** Only `npm run fuzz` sets it: fuzz targets are no part of the tests. */
const fuzzSeconds = Number(process.env['LATHE_FUZZ_SECONDS'] ?? 0);
const fuzzProject = {
  extends: true as const,
  test: { name: 'fuzz', include: ['test/fuzz/*.fuzz.ts'], testTimeout: 2000 * fuzzSeconds + MINUTE_MS },
};

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    // Read by ONNX Runtime when it is loaded, from the process's environment.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    passWithNoTests: true,
    projects: [
      ...Object.entries(TIMEOUTS_MS).map(([name, timeoutMs]) => ({
        extends: true as const,
        test: {
          name,
          include: [`test/${name}/**/*.test.ts`],
          testTimeout: timeoutMs,
          hookTimeout: timeoutMs,
          ...(BUILT.has(name) ? { globalSetup: ['test/helpers/require-build-setup.ts'] } : {}),
        },
      })),
      ...(fuzzSeconds > 0 ? [fuzzProject] : []),
    ],
  },
});

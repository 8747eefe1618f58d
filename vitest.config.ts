import { defineConfig } from 'vitest/config';

const MINUTE_MS = 60_000;

/** Property tests draw many cases; integration tests start whole programs, on slow machines too. */
const TIMEOUTS_MS = { unit: 20_000, property: MINUTE_MS, golden: MINUTE_MS, integration: 2 * MINUTE_MS };

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    passWithNoTests: true,
    projects: Object.entries(TIMEOUTS_MS).map(([name, timeoutMs]) => ({
      extends: true as const,
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        ...(name === 'integration' ? { globalSetup: ['test/helpers/require-build-setup.ts'] } : {}),
      },
    })),
  },
});

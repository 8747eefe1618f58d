/** Vitest runs this once before the integration tests, which start the built program. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BUILT = ['dist/cli/lathe.js', 'dist/native/lathe-kernels.node'];

export default function requireBuild(): void {
  const missing = BUILT.filter((path) => !existsSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))));
  if (missing.length > 0) {
    throw new Error(
      `The integration tests need the built program, but ${missing.join(' and ')} is missing: npm run build`,
    );
  }
}

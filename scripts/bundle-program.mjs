/** Bundles a TypeScript program of the test folder, as the product is bundled, for a process of its own. */
import { basename } from 'node:path';
import { inRepository } from './run-command.mjs';

/**
 * @param entry its path in the repository
 * @returns the bundle's path; it lies in the repository, where onnxruntime-node is found
 */
export async function bundleProgram(entry) {
  const esbuild = await import('esbuild');
  const outfile = inRepository('.tmp', `${basename(entry, '.ts')}.mjs`);
  await esbuild.build({
    absWorkingDir: inRepository('.'),
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['onnxruntime-node'],
    banner: {
      js: "import { createRequire as latheCreateRequire } from 'node:module'; const require = latheCreateRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return outfile;
}

/**
 * ONNX Runtime's library carries a telemetry client. Where it runs, it leaves a device id and a database in the user's
 * cache folder (Microsoft/DeveloperTools/.onnxruntime) and a session file and a log in the temporary folder.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { EvaluateResult } from '../../../core/contract/evaluation-result.ts';
import { openOnnxRuntime } from '../../../workers/inference/onnx-runtime.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { SAMPLE_MODEL } from '../../helpers/sample-gguf.ts';

const TEXT = fileURLToPath(new URL('../../../examples/texts/docs.test.txt', import.meta.url));

/** Variables that tell programs where a user's files are. */
const PLACES = {
  HOME: 'user',
  USERPROFILE: 'user',
  XDG_CACHE_HOME: 'cache',
  XDG_CONFIG_HOME: 'config',
  XDG_DATA_HOME: 'data',
  XDG_STATE_HOME: 'state',
  XDG_RUNTIME_DIR: 'runtime',
  TMPDIR: 'temporary',
  TMP: 'temporary',
  TEMP: 'temporary',
  LATHE_HOME: 'lathe-home',
};

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-no-trace-'));
  for (const name of [...Object.values(PLACES), 'working']) mkdirSync(join(folder, name), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => void vi.unstubAllEnvs());

test('a whole evaluation leaves no file but its output, its journal and its log, without ORT_DISABLE_TELEMETRY set outside', async () => {
  const places = Object.entries(PLACES).map(([name, place]) => [name, join(folder, place)]);
  const env = { ...Object.fromEntries(places), ORT_DISABLE_TELEMETRY: undefined };
  const args = ['--text', TEXT, '--limit-tokens', '600', '--reference', SAMPLE_MODEL, '--tokens-out', 'tokens.bin'];
  const cwd = join(folder, 'working');
  const run = await runLathe(['evaluate', SAMPLE_MODEL, ...args, '--json'], { env, cwd });
  expect(run.code, run.stderr).toBe(0);
  const { runId } = run.json<EvaluateResult>();
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
  expect(files.map((path) => path.split(sep).join('/')).sort()).toEqual([
    `lathe-home/runs/${runId}/journal.jsonl`,
    `lathe-home/runs/${runId}/log.ndjson`,
    'working/tokens.bin',
  ]);
});

test.each([undefined, '0', ''])('ONNX Runtime is not loaded with ORT_DISABLE_TELEMETRY=%s', async (value) => {
  vi.stubEnv('ORT_DISABLE_TELEMETRY', value);
  const error = await errorOf(() => openOnnxRuntime({ threads: 1 }));
  expect(error).toMatchObject({ code: 'INFERENCE_UNAVAILABLE' });
  expect(error.whatToDo).toContain('ORT_DISABLE_TELEMETRY=1');
});

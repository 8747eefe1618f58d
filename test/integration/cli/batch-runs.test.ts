/** `lathe run` as a user starts it; what batches do is in test/integration/engine/batches.test.ts. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BatchResult } from '../../../core/contract/batch-result.ts';
import type { SerializedError } from '../../../core/errors.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { fileDigests, makeTemporaryFolder, writeOddModel } from './odd-model.ts';

let folder: string;

beforeAll(() => {
  folder = makeTemporaryFolder();
  writeOddModel(join(folder, 'models/odd'));
  mkdirSync(join(folder, 'batches'));
  for (const codec of ['dfloat11', 'split-plane']) {
    writeFileSync(join(folder, `batches/${codec}.yaml`), `lathe: 1\nsteps: [{ step: encode, codec: ${codec} }]\n`);
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function writeBatch(name: string, models: string, more = ''): string {
  const path = join(folder, 'batches', name);
  const recipes = 'recipes: [dfloat11.yaml, split-plane.yaml]';
  writeFileSync(path, `lathe: 1\nname: ${name}\nmodels: [${models}]\n${recipes}\noutput: ../out\n${more}`);
  return path;
}

type Document = BatchResult & { error?: SerializedError };

function statuses({ jobs }: Document): string[] {
  return jobs.map(({ name, status }) => `${name} ${status}`);
}

describe('lathe run', () => {
  it('plans a batch without writing anything', async () => {
    const run = await runLathe([
      'run',
      writeBatch('plan.yaml', '../models/odd, ../models/none'),
      '--dry-run',
      '--json',
    ]);
    expect(run.code, run.stderr).toBe(1);
    const { jobs } = run.json<{ jobs: { name: string; estimate: { storedBytes: number } | null; error?: object }[] }>();
    expect(jobs.map(({ name }) => name)).toEqual([
      'odd/dfloat11',
      'odd/split-plane',
      'none/dfloat11',
      'none/split-plane',
    ]);
    expect(jobs[0]?.estimate?.storedBytes).toBeGreaterThan(0);
    expect(jobs[2]).toMatchObject({ estimate: null, error: { code: 'MODEL_NOT_FOUND' } });
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  it('runs every recipe on every model, paths being relative to its file, and keeps what is there', async () => {
    const batch = writeBatch('good.yaml', '../models/odd', 'concurrency: 2\n');
    const first = await runLathe(['run', batch, '--json']);
    expect(first.code, first.stderr).toBe(0);
    expect(statuses(first.json<Document>())).toEqual(['odd/dfloat11 done', 'odd/split-plane done']);
    const before = fileDigests(join(folder, 'out'));
    const again = await runLathe(['run', batch, '--json']);
    expect(again.code, again.stderr).toBe(0);
    expect(statuses(again.json<Document>())).toEqual(['odd/dfloat11 kept', 'odd/split-plane kept']);
    expect(fileDigests(join(folder, 'out'))).toEqual(before);
  });

  it('ends with 1 and the whole document where a job failed, and says why', async () => {
    const batch = writeBatch('half.yaml', '../models/none, ../models/odd');
    const run = await runLathe(['run', batch, '--json']);
    expect(run.code).toBe(1);
    const document = run.json<Document>();
    expect(document).toMatchObject({ schema: 1, name: 'half.yaml', error: { code: 'BATCH_JOBS_FAILED' } });
    expect(statuses(document)).toEqual([
      'none/dfloat11 failed',
      'none/split-plane failed',
      'odd/dfloat11 kept',
      'odd/split-plane kept',
    ]);
    const shown = await runLathe(['run', batch]);
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(/^none\/dfloat11 +failed +- +- /m);
    expect(shown.stdout).toMatch(/none\/split-plane: .*does not exist/);
  });

  it('refuses a wrong recipe before the first job', async () => {
    writeFileSync(join(folder, 'batches/split-plane.yaml'), 'lathe: 1\nstep: []\n');
    const run = await runLathe(['run', writeBatch('wrong.yaml', '../models/odd'), '--json']);
    expect(run.code).toBe(2);
    expect(run.json<Document>().error).toMatchObject({ code: 'RECIPE_UNKNOWN_KEY', where: { line: 2, column: 1 } });
  });
});

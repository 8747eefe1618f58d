import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../../helpers/error-of.ts';
import {
  newFolderOf,
  openOutputFolder,
  refuseExistingOutput,
  removeSpent,
} from '../../../workers/engine/output-folder.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { hookedKernels, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();
const kernels = hookedKernels(() => undefined);
const RUN = { runId: 'run-1', command: 'compress' };

/** A finished output that waits for its place. */
async function fill(output: string, content: string) {
  const folder = await openOutputFolder(output, kernels);
  await folder.begin(RUN);
  writeFileSync(join(newFolderOf(output), 'file'), content);
  return folder;
}

function contentOf(output: string): string {
  return readFileSync(join(output, 'file'), 'utf8');
}

describe('what a killed run has left beside its output', () => {
  const leave = (parts: Record<string, string>) => place().write('out.lathe-partial', { lock: '', ...parts });
  const run = JSON.stringify({ runId: 'r', command: 'restore' });

  it.each([{ 'run.json': run }, { 'run.json': run, 'old/file': 'old' }, {}])(
    'goes once nothing can use it: %j',
    async (parts) => {
      place().write('out', { file: 'new' });
      leave(parts);
      await removeSpent(place().at('out'), 'restore', kernels);
      expect(readdirSync(place().folder)).toEqual(['out']);
      expect(contentOf(place().at('out'))).toBe('new');
    },
  );

  it('stays where it is growing, of another command, not ours, held by another run, or the only copy', async () => {
    const output = place().at('out');
    const expectKept = async (parts: Record<string, string>) => {
      const folder = leave(parts);
      const before = snapshotOf(folder);
      await removeSpent(output, 'restore', kernels);
      expect(snapshotOf(folder)).toEqual(before);
      rmSync(folder, { recursive: true });
    };
    await expectKept({ 'run.json': run, 'old/file': 'old' });
    place().write('out', { file: 'new' });
    await expectKept({ 'run.json': run, 'new/file': 'part' });
    await expectKept({ 'run.json': run.replace('restore', 'compress') });
    await expectKept({ 'notes.txt': 'not ours' });
    const lock = kernels.lockFile(join(leave({ 'run.json': run }), 'lock'));
    await removeSpent(output, 'restore', kernels);
    expect(existsSync(place().at('out.lathe-partial/run.json'))).toBe(true);
    lock.release();
  });
});

describe('an output folder', () => {
  it('takes its place whole, also over an old or an empty one, and leaves nothing beside it', async () => {
    const output = place().at('deep/out');
    await (await fill(output, 'first')).commit(true);
    expect(contentOf(output)).toBe('first');
    await (await fill(output, 'second')).commit(true);
    expect(contentOf(output)).toBe('second');
    rmSync(join(output, 'file'));
    await (await fill(output, 'third')).commit(true);
    expect(contentOf(output)).toBe('third');
    expect(readdirSync(place().at('deep'))).toEqual(['out']);
  });

  it('never takes the place of what came there during the run, unless it may', async () => {
    const output = place().at('out');
    const folder = await fill(output, 'new');
    place().write('out', { file: 'precious' });
    expect((await errorOf(() => folder.commit(false))).code).toBe('JOB_OUTPUT_EXISTS');
    expect(contentOf(output)).toBe('precious');
    await folder.commit(true);
    expect(contentOf(output)).toBe('new');
  });

  it('gives the old output its place back where the new one cannot take it', async () => {
    const output = place().at('out');
    place().write('out', { file: 'old' });
    const folder = await fill(output, 'new');
    // A commit that failed between its two renames, and could not put the old output back at once.
    renameSync(output, `${output}.lathe-partial/old`);
    await folder.discard();
    expect(contentOf(output)).toBe('old');
    expect(existsSync(`${output}.lathe-partial`)).toBe(false);
  });

  it('can be left and opened again, which tells whose work is found there', async () => {
    const output = place().at('out');
    (await fill(output, 'half')).leave();
    const again = await openOutputFolder(output, kernels);
    expect(again.unfinished).toEqual(RUN);
    expect(await again.hasNewFolder()).toBe(true);
    await again.commit(true);
    expect(contentOf(output)).toBe('half');
  });

  it('is held by one run at a time', async () => {
    const folder = await fill(place().at('out'), 'mine');
    const error = await errorOf(() => openOutputFolder(place().at('out'), kernels));
    expect(error.code).toBe('JOB_OUTPUT_BUSY');
    await folder.commit(true);
    expect(contentOf(place().at('out'))).toBe('mine');
  });

  it('puts the old output back after a crash between the two renames, and can then still be finished', async () => {
    const output = place().at('out');
    (await fill(output, 'new')).leave();
    place().write('out.lathe-partial/old', { file: 'old' });
    const again = await openOutputFolder(output, kernels);
    expect(contentOf(output)).toBe('old');
    await again.commit(true);
    expect(contentOf(output)).toBe('new');
    expect(existsSync(`${output}.lathe-partial`)).toBe(false);
  });

  it('is finished over what a crash has left of an older output', async () => {
    const output = place().at('out');
    place().write('out', { file: 'second' });
    place().write('out.lathe-partial', { 'old/file': 'first', 'run.json': JSON.stringify(RUN) });
    await (await fill(output, 'third')).commit(true);
    expect(contentOf(output)).toBe('third');
    expect(existsSync(`${output}.lathe-partial`)).toBe(false);
  });

  it('removes whatever else lies in its partial folder, and that folder', async () => {
    const output = place().at('out');
    place().write('out.lathe-partial', { 'run.json.tmp': '{', 'new/deep/file': 'x', 'mine/file': 'y' });
    await (await openOutputFolder(output, kernels)).discard();
    expect(readdirSync(place().folder)).toEqual([]);
  });

  it('goes with the folders that were made for it, unless something else has come to lie in them', async () => {
    await (await openOutputFolder(place().at('one/two/three/out'), kernels)).discard();
    expect(readdirSync(place().folder)).toEqual([]);
    const folder = await openOutputFolder(place().at('one/two/three/out'), kernels);
    place().write('one/mine', { file: '' });
    await folder.discard();
    expect(readdirSync(place().at('one'))).toEqual(['mine']);
    await (await openOutputFolder(place().at('one/mine/out'), kernels)).discard();
    expect(readdirSync(place().at('one'))).toEqual(['mine']);
  });

  it('takes a run file that was torn for none', async () => {
    for (const text of ['', '{"runId": "a"', '{"runId": 1, "command": "compress"}', 'null']) {
      place().write('out.lathe-partial', { 'run.json': text });
      const folder = await openOutputFolder(place().at('out'), kernels);
      expect(folder.unfinished).toBeNull();
      folder.leave();
    }
  });

  it('goes twice without touching the next run that began there', async () => {
    const output = place().at('out');
    const first = await fill(output, 'first');
    await first.commit(true);
    const second = await fill(output, 'second');
    await first.discard();
    first.leave();
    expect((await errorOf(() => openOutputFolder(output, kernels))).code).toBe('JOB_OUTPUT_BUSY');
    await second.commit(true);
    expect(contentOf(output)).toBe('second');
  });

  it('is never held twice while many runs come and go', async () => {
    const output = place().at('out');
    let holders = 0;
    let turns = 0;
    async function contend(seed: number): Promise<void> {
      for (let turn = 0; turn < 40; turn++) {
        try {
          const folder = await openOutputFolder(output, kernels);
          holders += 1;
          turns += 1;
          expect(holders).toBe(1);
          await folder.begin({ runId: `${seed}-${turn}`, command: 'compress' });
          await wait((seed * turn) % 3);
          expect(existsSync(newFolderOf(output))).toBe(true);
          holders -= 1;
          await folder.discard();
        } catch (error) {
          if ((error as { code?: string }).code !== 'JOB_OUTPUT_BUSY') throw error;
          await wait(1);
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, seed) => contend(seed)));
    expect(turns).toBeGreaterThan(8);
    expect(readdirSync(place().folder)).toEqual([]);
  });
});

describe('an existing output', () => {
  it('is refused unless it is empty or may be replaced, links to nothing among them', async () => {
    mkdirSync(place().at('empty'));
    place().write('full', { file: '' });
    symlinkSync(place().at('nowhere'), place().at('link'));
    await refuseExistingOutput(place().at('none'), false);
    await refuseExistingOutput(place().at('empty'), false);
    await refuseExistingOutput(place().at('full'), true);
    for (const name of ['full', 'link']) {
      expect((await errorOf(() => refuseExistingOutput(place().at(name), false))).code).toBe('JOB_OUTPUT_EXISTS');
    }
  });
});

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PRESETS } from '../../../core/contract/presets.ts';
import type { CompressResult, InspectResult, RestoreResult, VerifyResult } from '../../../core/contract/results.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { fileDigests, makeTemporaryFolder, writeOddModel } from './odd-model.ts';

let folder: string;
let model: string;

beforeAll(() => {
  folder = makeTemporaryFolder();
  model = join(folder, 'model');
  writeOddModel(model);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LOSSLESS = [...PRESETS.keys()].filter((name) => name.startsWith('lossless-'));

describe.each(LOSSLESS)('the preset %s', (preset) => {
  it('compresses, verifies and restores every file of a model folder byte for byte', async () => {
    const [output, restored] = [join(folder, preset), join(folder, `${preset}-restored`)];
    const before = fileDigests(model);

    const dry = await runLathe(['compress', model, '-o', output, '--preset', preset, '--dry-run', '--json']);
    expect(dry.code, dry.stderr).toBe(0);
    const estimate = dry.json<{ storedBytesLow: number; storedBytesHigh: number; storedBytes: number }>();
    expect(readdirSync(folder).filter((name) => name.startsWith(preset))).toEqual([]);

    const compressed = await runLathe(['compress', model, '-o', output, '--preset', preset, '--json']);
    expect(compressed.code, compressed.stderr).toBe(0);
    const result = compressed.json<CompressResult>();
    expect(result).toMatchObject({ schema: 1, output, verified: true, resumed: false });
    expect(result.storedBytes).toBeGreaterThanOrEqual(estimate.storedBytesLow);
    expect(result.storedBytes).toBeLessThanOrEqual(estimate.storedBytesHigh);

    const verified = (await runLathe(['verify', output, '--against', model, '--json'])).json<VerifyResult>();
    expect(verified).toMatchObject({ ok: true, against: model });
    expect(verified.tensors.every(({ bitExact }) => bitExact === true)).toBe(true);

    const run = await runLathe(['restore', output, '-o', restored, '--json', '--threads', '1']);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json<RestoreResult>()).toMatchObject({ lossless: true, filesIdentical: true });
    expect(fileDigests(restored)).toEqual(before);
    expect(fileDigests(model)).toEqual(before);
    expect(existsSync(`${output}.lathe-partial`)).toBe(false);
  });

  it('says the same to people, in tables', async () => {
    const output = join(folder, `${preset}-for-people`);
    const compressed = await runLathe(['compress', model, '-o', output, '--preset', preset]);
    expect(compressed.code, compressed.stderr).toBe(0);
    expect(compressed.stdout).toMatch(/Bits per weight +\d+\.\d\d -> \d+\.\d\d\n/);
    expect(compressed.stdout).toContain(output);
    expect(compressed.stderr).toMatch(/^lathe: /);
    const verified = await runLathe(['verify', output, '--quiet']);
    expect(verified).toMatchObject({ code: 0, stderr: '' });
    expect(verified.stdout).toMatch(/Result +ok\n/);
    const restored = await runLathe(['restore', output, '-o', `${output}-restored`]);
    expect(restored.stdout).toContain('größe 漢字.json');
    const inspected = await runLathe(['inspect', output]);
    expect(inspected.stdout).toMatch(/model\.layers\.0\.self_attn\.q_proj\.weight +BF16 +64 x 64 +[\d,]+ +\S+/);
  });
});

describe('inspect', () => {
  it('gives statistics and the predicted sizes with --statistics', async () => {
    const result = (await runLathe(['inspect', model, '--statistics', '--json'])).json<InspectResult>();
    expect(result).toMatchObject({ format: 'safetensors', architecture: 'LlamaForCausalLM' });
    expect(result.losslessEstimate?.splitPlaneBytes).toBeLessThan(result.storedBytes);
    for (const tensor of result.tensors) {
      expect(tensor).toMatchObject({ min: expect.any(Number), max: expect.any(Number), rms: expect.any(Number) });
    }
    const plain = await runLathe(['inspect', model, '--statistics']);
    expect(plain.stdout).toMatch(/With split-plane +about /);
    expect(plain.stdout).toMatch(/q_proj\.weight +BF16 +64 x 64 +8,192 +\d\.\d{3} bits /);
  });
});

describe('events', () => {
  it('are one JSON object a line on stderr, and progress never goes back', async () => {
    const argv = ['compress', model, '-o', join(folder, 'events'), '--preset', 'lossless-split-plane'];
    const run = await runLathe([...argv, '--json', '--events', 'ndjson']);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json()).toMatchObject({ verified: true });
    expect(run.stderr.split('\n').every((line) => line === '' || line.startsWith('{'))).toBe(true);
    const events = run.events();
    expect(events).toContainEqual(expect.objectContaining({ event: 'stage' }));
    const fractions = events.filter(({ event }) => event === 'progress').map(({ fraction }) => fraction as number);
    expect(fractions.length).toBeGreaterThan(0);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  });
});

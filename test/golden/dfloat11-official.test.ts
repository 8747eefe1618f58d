import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addDfloat11Config } from '../../core/formats/dfloat11/dfloat11-config.ts';
import { readDfloat11Folder } from '../../core/formats/dfloat11/dfloat11-folder.ts';
import { planUnits, REMAINDER_FILE, type PlannedUnit, type UnitPlan } from '../../core/formats/dfloat11/plan-units.ts';
import { layOutPlainFile, layOutUnitFile, type PlainFileLayout } from '../../core/formats/dfloat11/unit-file.ts';
import type { ByteRange, CallOptions, Kernels } from '../../core/kernels/kernels.ts';
import { openModel, type ModelTensor, type OpenedModel, type SafetensorsModel } from '../../core/model/open-model.ts';
import { loadKernels } from '../../native-kernels/index.ts';
import { nodeFileAccess } from '../../workers/engine/node-file-access.ts';

/** Of the official package's output for the sample model; `scripts/dfloat11-golden.mjs` says how it was made. */
interface Golden {
  config: { dfloat11_config: { pattern_dict: Record<string, string[]> } };
  files: Record<string, { bytes: number; sha256: string; header: string; tensors: Record<string, string> }>;
}

const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const GOLDEN = JSON.parse(readFileSync(inRepository('test/golden/dfloat11/docs-llama-7m.json'), 'utf8')) as Golden;
const SOURCE = inRepository('examples/models/docs-llama-7m');
const LAYERS = [0, 1, 2, 3, 4, 5, 6, 7];
const OPTIONS: CallOptions = { threads: 2 };

const folder = mkdtempSync(join(tmpdir(), 'lathe-golden-'));
let kernels: Kernels;
let source: SafetensorsModel;
let plan: UnitPlan;

beforeAll(async () => {
  kernels = loadKernels(inRepository('dist/native/lathe-kernels.node'));
  source = safetensorsOf(await openModel(SOURCE, nodeFileAccess));
  plan = planUnits(source.tensors, { units: 'auto', skip: new Set(), tiedEmbeddings: source.tiedEmbeddings });
  for (const unit of plan.units) await writeUnit(unit);
  await writePlain(layOutPlainFile(REMAINDER_FILE, plan.remainder));
  const config = addDfloat11Config(source.configText ?? '', plan.patternDictionary, 'config.json');
  writeFileSync(join(folder, 'config.json'), config);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function safetensorsOf(model: OpenedModel): SafetensorsModel {
  if (model.kind === 'safetensors' || model.kind === 'dfloat11') return model;
  throw new Error(`opened as ${model.kind}`);
}

function rangeOf({ file, offsetBytes, sizeBytes }: ModelTensor): ByteRange {
  return { path: `${SOURCE}/${file}`, offsetBytes, sizeBytes };
}

async function writeUnit(unit: PlannedUnit): Promise<void> {
  const ranges = unit.tensors.map(rangeOf);
  const measured = await kernels.measureDfloat11(ranges, OPTIONS);
  if ('refusal' in measured) throw new Error(measured.refusal);
  expect(measured.plan.isOfficial).toBe(true);
  const layout = layOutUnitFile(unit, measured.plan, join(folder, unit.file));
  await writePlain(layout);
  const file = await open(join(folder, unit.file), 'r+');
  await file.write(layout.splitPositions.bytes, 0, undefined, layout.splitPositions.offsetBytes);
  await file.close();
  await kernels.encodeDfloat11(ranges, measured.plan, layout.fields, OPTIONS);
}

async function writePlain(layout: PlainFileLayout): Promise<void> {
  const path = join(folder, layout.file);
  writeFileSync(path, layout.header);
  truncateSync(path, layout.fileSizeBytes);
  for (const { tensor, offsetBytes } of layout.plain) {
    await kernels.copyRange(rangeOf(tensor), path, offsetBytes, OPTIONS);
  }
}

/** The file's header as text, and the SHA-256 of each tensor: what tells where a file differs. */
function describeFile(name: string) {
  const bytes = readFileSync(join(folder, name));
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = bytes.toString('utf8', 8, start);
  const entries = JSON.parse(header) as Record<string, { data_offsets: [number, number] }>;
  const tensors = Object.entries(entries).flatMap(([tensor, { data_offsets: offsets }]) => {
    if (tensor === '__metadata__') return [];
    const data = bytes.subarray(start + offsets[0], start + offsets[1]);
    return [[tensor, createHash('sha256').update(data).digest('hex')] as const];
  });
  return { header, tensors: Object.fromEntries(tensors) };
}

test('the sample model makes the official files, by name', () => {
  const files = [...plan.units.map(({ file }) => file), REMAINDER_FILE];
  expect(files.sort()).toEqual(Object.keys(GOLDEN.files).sort());
  expect(plan.patternDictionary).toEqual(GOLDEN.config.dfloat11_config.pattern_dict);
});

test.each([...LAYERS.map((layer) => `model_layers_${layer}.safetensors`), REMAINDER_FILE])(
  '%s is the official file, byte for byte',
  async (name) => {
    const golden = GOLDEN.files[name]!;
    expect(describeFile(name)).toEqual({ header: golden.header, tensors: golden.tensors });
    expect(await kernels.digestFile(join(folder, name), OPTIONS)).toEqual({
      sizeBytes: golden.bytes,
      sha256: golden.sha256,
    });
  },
);

describe('the folder is read again', () => {
  test('and gives every weight back, bit by bit', async () => {
    const model = safetensorsOf(await openModel(folder, nodeFileAccess));
    expect(model).toMatchObject({ kind: 'dfloat11', parameters: source.parameters });
    const { units, plain } = await readDfloat11Folder(model, nodeFileAccess);
    const byName = new Map(source.tensors.map((tensor) => [tensor.name, tensor]));
    for (const unit of units) {
      const originals = unit.tensors.map(({ name }) => byName.get(name)!);
      expect(unit.tensors.map(({ shape }) => shape)).toEqual(originals.map(({ shape }) => shape));
      const target = { kind: 'compare' as const, ranges: originals.map(rangeOf) };
      await kernels.decodeDfloat11(unit.fields, unit.elements, target, OPTIONS);
    }
    for (const tensor of plain) {
      const stored = { path: `${folder}/${tensor.file}`, offsetBytes: tensor.offsetBytes, sizeBytes: tensor.sizeBytes };
      await kernels.compareRanges(stored, rangeOf(byName.get(tensor.name)!), OPTIONS);
    }
    const names = [...units.flatMap((unit) => unit.tensors.map(({ name }) => name)), ...plain.map(({ name }) => name)];
    expect(names.sort()).toEqual(source.tensors.map(({ name }) => name).sort());
  });

  test('and a weight that differs by one bit is noticed', async () => {
    const copy = join(folder, 'changed.bin');
    const [unit] = plan.units;
    const [first] = unit!.tensors;
    copyFileSync(`${SOURCE}/${first!.file}`, copy);
    const file = await open(copy, 'r+');
    const at = first!.offsetBytes + 2 * 1000;
    const { buffer } = await file.read(new Uint8Array(1), 0, 1, at);
    await file.write(Uint8Array.of(buffer[0]! ^ 1), 0, 1, at);
    await file.close();
    const model = safetensorsOf(await openModel(folder, nodeFileAccess));
    const { units } = await readDfloat11Folder(model, nodeFileAccess);
    const stored = units.find(({ module }) => module === unit!.module)!;
    const ranges = unit!.tensors.map((tensor) => ({ ...rangeOf(tensor), path: copy }));
    const call = kernels.decodeDfloat11(stored.fields, stored.elements, { kind: 'compare', ranges }, OPTIONS);
    await expect(call).rejects.toMatchObject({ code: 'VERIFY_FAILED' });
  });
});

import type { EncodeDfloat11Step, Recipe } from '../../contract/recipe.ts';
import { LATHE_FILE_NAME } from '../../contract/lathe-file.ts';
import { addDfloat11Config } from '../../formats/dfloat11/dfloat11-config.ts';
import {
  planUnits,
  REMAINDER_FILE,
  withoutUnits,
  type PlannedUnit,
  type UnitPlan,
} from '../../formats/dfloat11/plan-units.ts';
import { layOutPlainFile, layOutUnitFile, type PlainFileLayout } from '../../formats/dfloat11/unit-file.ts';
import type { ByteRange, Dfloat11Plan } from '../../kernels/kernels.ts';
import { isSafetensorsName, isShardIndexName, isSplitPlaneName } from '../../model/file-kinds.ts';
import type { FolderFile } from '../../model/model-folder.ts';
import type { ModelTensor } from '../../model/open-model.ts';
import { quoted } from '../../quoted.ts';
import { encodeUtf8 } from '../../utf8.ts';
import { copiedFiles, copyItems, placeOtherFiles, type PlacedFile } from './copy-other-files.ts';
import { keepOriginals } from './keep-originals.ts';
import { shareBytes } from './share-bytes.ts';
import { skippedTensors } from './skipped-tensors.ts';
import type { LosslessWork, SourceFile, StoredTensor, WorkContext, WorkItem, WorkRecord, WorkRecords } from './work.ts';

const CONFIG_FILE = 'config.json';

/** What became of a unit. */
type UnitRecord = { bytes: number; storedBytes: number; origin: string; isOfficial: boolean } | { refusal: string };

/**
 * Plans the coding of a model as DFloat11: an item hashes each weight file, one codes each unit, one writes what is left
 * over, and others copy the remaining files.
 *
 * Source: arXiv:2504.11651 and the official package 0.5.0 in directory mode. A unit that DFloat11 cannot hold stays plain.
 * @throws UsageError, ModelError as `planUnits`
 */
export function planDfloat11Work(context: WorkContext, recipe: Recipe, step: EncodeDfloat11Step): LosslessWork {
  const { model } = context;
  const names = model.tensors.map(({ name }) => name);
  const { skip, notes } = skippedTensors(recipe, names);
  const plan = planUnits(model.tensors, { units: step.units, skip, tiedEmbeddings: model.tiedEmbeddings });
  const placed = placeFiles(plan, model.otherFiles);
  const hashes = model.weightFiles.map((file) => hashItem(file, context));
  const units = plan.units.map((unit) => unitItem(unit, context));
  const copies = copyItems(placed, context);
  return {
    items: [...hashes, ...units, remainderItem(plan, context), ...copies],
    finish: async (records) => {
      const final = finalPlan(plan, records);
      const { original, digests } = await keepOriginals(context, placed, keptPaths(model));
      const config = await writeConfig(context, final);
      return {
        tensors: storedTensors(final, records),
        sourceFiles: [
          ...hashes.map(({ key }) => records.get(key) as unknown as SourceFile),
          ...copiedFiles(copies, records),
          ...digests,
        ],
        original,
        outputFiles: [
          ...final.units.map(({ file }) => file),
          ...(hasRemainder(final) ? [REMAINDER_FILE] : []),
          ...placed.map(({ to }) => to),
          config,
        ],
        notes: [...notes, ...final.notes, ...departures(final, records)],
      };
    },
  };
}

/**
 * The official loader takes every safetensors file at the top as weights, and split-plane files make a folder one of that
 * kind, so others get another name. Our own unit files, config and `lathe.json` keep theirs. The config and shard indexes
 * are not copied: `lathe.json` holds them.
 */
function placeFiles(plan: UnitPlan, otherFiles: readonly FolderFile[]): PlacedFile[] {
  const own = [...plan.units.map(({ file }) => file), REMAINDER_FILE, CONFIG_FILE, LATHE_FILE_NAME];
  const ownNames = new Set(own.map((name) => name.toLowerCase()));
  const isTaken = (path: string) => {
    const name = path.toLowerCase();
    return ownNames.has(name) || isSplitPlaneName(name) || (!name.includes('/') && isSafetensorsName(name));
  };
  return placeOtherFiles(
    otherFiles.filter(({ path }) => !isKeptInLatheFile(path)),
    isTaken,
  );
}

function isKeptInLatheFile(path: string): boolean {
  return path === CONFIG_FILE || (!path.includes('/') && isShardIndexName(path));
}

/** Files of the source that the output has in another form, or not at all. */
function keptPaths({ openedAs, otherFiles, indexFile }: WorkContext['model']): string[] {
  if (openedAs === 'index') return indexFile === null ? [] : [indexFile];
  return otherFiles.map(({ path }) => path).filter(isKeptInLatheFile);
}

/** DFloat11 stores tensors in another order, so the source files' hashes need a pass of their own. */
function hashItem(file: FolderFile, { kernels, model, call }: WorkContext): WorkItem {
  return {
    key: `hash:${file.path}`,
    label: file.path,
    workBytes: file.sizeBytes,
    async run() {
      const { sizeBytes, sha256 } = await kernels.digestFile(`${model.root}/${file.path}`, call());
      return { path: file.path, bytes: sizeBytes, sha256 };
    },
    holds: () => Promise.resolve(true),
  };
}

function unitItem(unit: PlannedUnit, context: WorkContext): WorkItem {
  const { kernels, files, access, model, folder, call } = context;
  const source = unit.tensors.map((tensor) => rangeOf(tensor, model.root));
  const sourceBytes = sumOf(source, ({ sizeBytes }) => sizeBytes);
  return {
    key: `unit:${unit.module}`,
    label: unit.module,
    workBytes: 2 * sourceBytes + sumOf(unit.companions, ({ sizeBytes }) => sizeBytes),
    async run() {
      const measured = await kernels.measureDfloat11(source, call());
      if ('refusal' in measured) return { refusal: measured.refusal };
      return writeUnit(unit, source, measured.plan, context);
    },
    async holds(record) {
      return 'refusal' in record || (await access.stat(`${folder}/${unit.file}`))?.sizeBytes === record['bytes'];
    },
  };

  async function writeUnit(
    { file }: PlannedUnit,
    ranges: ByteRange[],
    plan: Dfloat11Plan,
    { folder: target }: WorkContext,
  ): Promise<WorkRecord> {
    const path = await files.prepare(target, file);
    const layout = layOutUnitFile(unit, plan, path);
    await files.setSize(path, layout.fileSizeBytes);
    await files.writeAt(path, layout.splitPositions.bytes, layout.splitPositions.offsetBytes);
    await kernels.encodeDfloat11(ranges, plan, layout.fields, call());
    await writePlain(layout, path, context);
    return {
      bytes: layout.fileSizeBytes,
      storedBytes: plan.storedBytes + layout.splitPositions.bytes.length,
      origin: plan.origin,
      isOfficial: plan.isOfficial,
    };
  }
}

/** Header and plain tensors of a file whose size is set; syncs it. */
async function writePlain(layout: PlainFileLayout, path: string, context: WorkContext): Promise<void> {
  const { kernels, files, model, call } = context;
  await files.writeAt(path, layout.header, 0);
  for (const { tensor, offsetBytes } of layout.plain) {
    await kernels.copyRange(rangeOf(tensor, model.root), path, offsetBytes, call());
  }
  await kernels.syncFile(path, call());
}

function remainderItem(plan: UnitPlan, context: WorkContext): WorkItem {
  const { files, access, folder } = context;
  return {
    key: 'remainder',
    label: REMAINDER_FILE,
    workBytes: sumOf(plan.remainder, ({ sizeBytes }) => sizeBytes),
    async run(records) {
      const final = finalPlan(plan, records);
      if (!hasRemainder(final)) return { bytes: null };
      const path = await files.prepare(folder, REMAINDER_FILE);
      const layout = layOutPlainFile(REMAINDER_FILE, final.remainder);
      await files.setSize(path, layout.fileSizeBytes);
      await writePlain(layout, path, context);
      return { bytes: layout.fileSizeBytes };
    },
    async holds({ bytes }) {
      return bytes === null || (await access.stat(`${folder}/${REMAINDER_FILE}`))?.sizeBytes === bytes;
    },
  };
}

/** A folder must hold a weight file to be a model, if only one without tensors. */
function hasRemainder({ units, remainder }: UnitPlan): boolean {
  return units.length === 0 || remainder.length > 0;
}

function recordOf(unit: PlannedUnit, records: WorkRecords): UnitRecord | undefined {
  return records.get(`unit:${unit.module}`) as UnitRecord | undefined;
}

/** The plan without the units that turned out not to fit DFloat11. */
function finalPlan(plan: UnitPlan, records: WorkRecords): UnitPlan {
  const refusals = new Map<string, string>();
  for (const unit of plan.units) {
    const record = recordOf(unit, records);
    if (record && 'refusal' in record) refusals.set(unit.module, record.refusal);
  }
  return refusals.size === 0 ? plan : withoutUnits(plan, refusals);
}

function storedTensors(plan: UnitPlan, records: WorkRecords): StoredTensor[] {
  const plain = (tensor: ModelTensor, file: string): StoredTensor => {
    const { name, dtype, shape, sizeBytes } = tensor;
    return { name, dtype, shape, method: 'plain', storedBytes: sizeBytes, file };
  };
  const stored = plan.units.flatMap((unit) => {
    const record = recordOf(unit, records);
    const total = record && 'storedBytes' in record ? record.storedBytes : 0;
    const shares = shareBytes(
      total,
      unit.tensors.map(({ sizeBytes }) => sizeBytes),
    );
    const coded = unit.tensors.map(({ name, dtype, shape }, index): StoredTensor => {
      return { name, dtype, shape, method: 'dfloat11', storedBytes: shares[index] ?? 0, file: unit.file };
    });
    return [...coded, ...unit.companions.map((tensor) => plain(tensor, unit.file))];
  });
  return [...stored, ...plan.remainder.map((tensor) => plain(tensor, REMAINDER_FILE))];
}

/** Units whose bytes differ from the official compressor's, and why: it cannot code them, or its choice is not defined. */
function departures(plan: UnitPlan, records: WorkRecords): string[] {
  return plan.units.flatMap((unit) => {
    const record = recordOf(unit, records);
    if (!record || 'refusal' in record || record.isOfficial) return [];
    return [`Unit ${quoted(unit.module)} has a code of Lathe's own (${record.origin}); the official loader reads it.`];
  });
}

/** The loader finds units by the config; a model without one gets a config of that key alone. */
async function writeConfig({ model, files, folder }: WorkContext, plan: UnitPlan): Promise<string> {
  const text = addDfloat11Config(model.configText ?? '{}\n', plan.patternDictionary, CONFIG_FILE);
  await files.writeFile(await files.prepare(folder, CONFIG_FILE), encodeUtf8(text));
  return CONFIG_FILE;
}

function rangeOf({ file, offsetBytes, sizeBytes }: ModelTensor, root: string): ByteRange {
  return { path: `${root}/${file}`, offsetBytes, sizeBytes };
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}

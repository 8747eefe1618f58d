import type { EncodeDfloat11Step, Recipe } from '../../contract/recipe.ts';
import { LATHE_FILE_NAME } from '../../contract/lathe-file.ts';
import { addDfloat11Config } from '../../formats/dfloat11/dfloat11-config.ts';
import { planUnits, REMAINDER_FILE, type UnitPlan } from '../../formats/dfloat11/plan-units.ts';
import { isSafetensorsName, isShardIndexName, isSplitPlaneName } from '../../model/file-kinds.ts';
import type { FolderFile } from '../../model/model-folder.ts';
import type { ModelTensor } from '../../model/open-model.ts';
import { quoted } from '../../quoted.ts';
import { encodeUtf8 } from '../../utf8.ts';
import { copiedFiles, copyItems, placeOtherFiles, type PlacedFile } from './copy-other-files.ts';
import { finalPlan, hasRemainder, remainderItem, unitItem, unitRecord } from './dfloat11-items.ts';
import { keepOriginals } from './keep-originals.ts';
import { shareBytes } from './share-bytes.ts';
import { skippedTensors } from './skipped-tensors.ts';
import type { LosslessWork, StoredTensor, WorkContext, WorkRecords } from './work.ts';

const CONFIG_FILE = 'config.json';

/**
 * Plans the coding of a model as DFloat11: an item codes each unit, one writes what is left over, and others copy
 * the remaining files.
 *
 * Source: arXiv:2504.11651 and the official package 0.5.0 in directory mode. Tensors that DFloat11 cannot hold stay plain.
 * @throws UsageError, ModelError as `planUnits`
 */
export function planDfloat11Work(context: WorkContext, recipe: Recipe, step: EncodeDfloat11Step): LosslessWork {
  const { model } = context;
  const names = model.tensors.map(({ name }) => name);
  const { skip, notes } = skippedTensors(recipe, names);
  const plan = planUnits(model.tensors, { units: step.units, skip, tiedEmbeddings: model.tiedEmbeddings });
  const placed = placeFiles(plan, model.otherFiles);
  const units = plan.units.map((unit) => unitItem(unit, plan, context));
  const copies = copyItems(placed, context);
  return {
    items: [...units, remainderItem(plan, context), ...copies],
    finish: async (records) => {
      const final = finalPlan(plan, records);
      const { original, digests } = await keepOriginals(context, placed, keptPaths(model));
      const config = await writeConfig(context, final);
      return {
        tensors: storedTensors(final, records),
        sourceFiles: [...copiedFiles(copies, records), ...digests],
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

function storedTensors(plan: UnitPlan, records: WorkRecords): StoredTensor[] {
  const plain = (tensor: ModelTensor, file: string): StoredTensor => {
    const { name, dtype, shape, sizeBytes } = tensor;
    return { name, dtype, shape, method: 'plain', storedBytes: sizeBytes, file };
  };
  const stored = plan.units.flatMap((unit) => {
    const record = unitRecord(unit, records);
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
    const record = unitRecord(unit, records);
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

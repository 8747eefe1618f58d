import {
  REMAINDER_FILE,
  withoutTensors,
  withoutUnits,
  type PlannedUnit,
  type UnitPlan,
} from '../../formats/dfloat11/plan-units.ts';
import { layOutPlainFile, layOutUnitFile, type PlainFileLayout } from '../../formats/dfloat11/unit-file.ts';
import type { ByteRange, Dfloat11Plan } from '../../kernels/kernels.ts';
import type { ModelTensor } from '../../model/open-model.ts';
import type { WorkContext, WorkItem, WorkRecord, WorkRecords } from './work.ts';

/** What became of a unit: coded, perhaps without some of its tensors, or left plain. */
type UnitRecord =
  | {
      bytes: number;
      storedBytes: number;
      origin: string;
      isOfficial: boolean;
      /** Tensors that DFloat11 cannot hold, and why. */
      refusedTensors: [tensor: string, why: string][];
    }
  | { refusal: string };

export function unitRecord(unit: PlannedUnit, records: WorkRecords): UnitRecord | undefined {
  return records.get(unitKey(unit)) as UnitRecord | undefined;
}

function unitKey({ module }: PlannedUnit): string {
  return `unit:${module}`;
}

/** The plan without the units and tensors that turned out not to fit DFloat11. */
export function finalPlan(plan: UnitPlan, records: WorkRecords): UnitPlan {
  const units = new Map<string, string>();
  const tensors = new Map<string, string>();
  for (const unit of plan.units) {
    const record = unitRecord(unit, records);
    if (!record) continue;
    if ('refusal' in record) units.set(unit.module, record.refusal);
    else for (const [tensor, why] of record.refusedTensors) tensors.set(tensor, why);
  }
  const whole = units.size === 0 ? plan : withoutUnits(plan, units);
  return tensors.size === 0 ? whole : withoutTensors(whole, tensors);
}

/**
 * Codes one unit into its file. Of a unit that DFloat11 cannot hold, only the tensors at fault are left out; if none is at
 * fault alone, all of it.
 *
 * Source: DFloat11 0.5.0, directory mode: one file a unit, with the module's other tensors.
 */
export function unitItem(unit: PlannedUnit, plan: UnitPlan, context: WorkContext): WorkItem {
  const { kernels, access, folder, call } = context;
  return {
    key: unitKey(unit),
    label: unit.module,
    workBytes: 2 * sizeOf(unit.tensors) + sizeOf(unit.companions),
    async run(): Promise<WorkRecord> {
      const measured = await measure(unit.tensors);
      if ('plan' in measured) return writeUnit(unit, measured.plan, [], context);
      const refused = await refusedTensors();
      const rest = withoutTensors(plan, refused).units.find(({ module }) => module === unit.module);
      const again = refused.size > 0 && rest ? await measure(rest.tensors) : null;
      if (!rest || !again || 'refusal' in again) return { refusal: measured.refusal };
      return writeUnit(rest, again.plan, [...refused], context);
    },
    async holds(record) {
      return 'refusal' in record || (await access.stat(`${folder}/${unit.file}`))?.sizeBytes === record['bytes'];
    },
  };

  function measure(tensors: readonly ModelTensor[]) {
    return kernels.measureDfloat11(rangesOf(tensors, context), call());
  }

  async function refusedTensors(): Promise<Map<string, string>> {
    const refused = new Map<string, string>();
    for (const tensor of unit.tensors) {
      const measured = await measure([tensor]);
      if ('refusal' in measured) refused.set(tensor.name, measured.refusal);
    }
    return refused;
  }
}

async function writeUnit(
  unit: PlannedUnit,
  plan: Dfloat11Plan,
  refusedTensors: [string, string][],
  context: WorkContext,
): Promise<WorkRecord> {
  const { kernels, files, folder, call } = context;
  const path = await files.prepare(folder, unit.file);
  const layout = layOutUnitFile(unit, plan, path);
  await files.setSize(path, layout.fileSizeBytes);
  await files.writeAt(path, layout.splitPositions.bytes, layout.splitPositions.offsetBytes);
  await kernels.encodeDfloat11(rangesOf(unit.tensors, context), plan, layout.fields, call());
  await writePlain(layout, path, context);
  return {
    bytes: layout.fileSizeBytes,
    storedBytes: plan.storedBytes + layout.splitPositions.bytes.length,
    origin: plan.origin,
    isOfficial: plan.isOfficial,
    refusedTensors,
  };
}

/** Writes the tensors that belong to no unit's file. */
export function remainderItem(plan: UnitPlan, context: WorkContext): WorkItem {
  const { files, access, folder } = context;
  return {
    key: 'remainder',
    label: REMAINDER_FILE,
    workBytes: sizeOf(plan.remainder),
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
export function hasRemainder({ units, remainder }: UnitPlan): boolean {
  return units.length === 0 || remainder.length > 0;
}

/** Header and plain tensors of a file whose size is set; syncs it. */
async function writePlain(layout: PlainFileLayout, path: string, context: WorkContext): Promise<void> {
  const { kernels, files, call } = context;
  await files.writeAt(path, layout.header, 0);
  for (const { tensor, offsetBytes } of layout.plain) {
    const [range] = rangesOf([tensor], context);
    if (range) await kernels.copyRange(range, path, offsetBytes, call());
  }
  await kernels.syncFile(path, call());
}

function rangesOf(tensors: readonly ModelTensor[], { model }: WorkContext): ByteRange[] {
  return tensors.map(({ file, offsetBytes, sizeBytes }) => ({ path: `${model.root}/${file}`, offsetBytes, sizeBytes }));
}

function sizeOf(tensors: readonly ModelTensor[]): number {
  return tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

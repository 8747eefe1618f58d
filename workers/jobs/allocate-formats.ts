/** From an allocation's budget to a type for each tensor. */
import type { QuantizationFacts } from '../../core/contract/lathe-file.ts';
import type { QuantizeStep } from '../../core/contract/recipe.ts';
import { KernelError } from '../../core/errors.ts';
import { allocateLevels } from '../../core/methods/allocation/allocate-levels.ts';
import {
  averageBitsOf,
  cheapestChoice,
  formatBudget,
  withChoice,
  type FormatBudget,
} from '../../core/methods/allocation/format-budget.ts';
import { fittingType, type ChosenType } from '../../core/methods/gguf/gguf-types.ts';
import type { GgufExportPlan } from '../../core/methods/gguf/plan-gguf-export.ts';
import type { ResolvedTensor } from '../../core/methods/gguf/resolve-formats.ts';
import type { GgmlType } from '../../core/kernels/kernels.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import type { ExportImportance, MeasureInputs } from './export-importance.ts';

/** What an allocation needs of the engine. */
export interface AllocationTools {
  measure: MeasureInputs;
  /** In nats: how much each type of each tensor, alone, moves the model's output; by canonical name, in the choices' order. */
  measureErrors: MeasureErrors;
}

export type MeasureErrors = (
  tensors: readonly ResolvedTensor[],
  importance: ExportImportance,
  options: CompressOptions,
) => Promise<ReadonlyMap<string, readonly number[]>>;

export interface AllocatedFormats {
  /** By canonical name, of the tensors that had a choice. */
  types: Map<string, ChosenType>;
  facts: NonNullable<QuantizationFacts['allocation']>;
}

/** A budget that can be kept. */
export interface FormatAllocation {
  /** The smallest type of every tensor. */
  cheapest: Pick<AllocatedFormats, 'types'>;
  /** What headers decide: all types of a uniform allocation; null where that takes measurements. */
  decided: Pick<AllocatedFormats, 'types'> | null;
  /** What the budget leaves beyond the smallest types, at most. */
  spareBytes: number;
  choose(parts: {
    options: CompressOptions;
    importance: ExportImportance;
    tools: AllocationTools;
  }): Promise<AllocatedFormats>;
}

/**
 * Checks the budget of an allocation; what it comes to is found out by `choose`.
 *
 * @throws UsageError ALLOCATION_BUDGET_TOO_SMALL
 */
export function allocateFormats(
  allocation: NonNullable<QuantizeStep['allocation']>,
  resolved: readonly ResolvedTensor[],
  makePlan: (types: ReadonlyMap<string, ChosenType>) => GgufExportPlan,
): FormatAllocation {
  const budget = formatBudget(allocation, resolved, (types) => makePlan(types).file.fileBytes);
  const free = withChoice(resolved);
  const cheapest = new Map(
    free.flatMap((tensor) => {
      const choice = cheapestChoice(tensor, budget.costOf);
      return choice === undefined ? [] : [[tensor.candidate.canonicalName, choice] as const];
    }),
  );
  const costs = free.map((tensor) => tensor.choices.map((choice) => budget.costOf(tensor, choice)));
  const least = costs.reduce((sum, of) => sum + Math.min(...of), 0);
  const most = costs.reduce((sum, of) => sum + Math.max(...of), 0);
  const uniform =
    allocation.method === 'uniform' ? (largestUniform(allocation.formats, free, budget) ?? cheapest) : null;
  return {
    cheapest: { types: cheapest },
    decided: uniform && { types: uniform },
    spareBytes: Math.min(budget.bytes, most) - least,
    async choose({ options, importance, tools }) {
      if (uniform !== null) {
        const averageBits = averageBitsOf(resolved, uniform);
        return {
          types: uniform,
          facts: { method: 'uniform', averageBits, predictedKlDivergence: null, isExact: true },
        };
      }
      const errors = await tools.measureErrors(free, importance, options);
      const layers = free.map((tensor) =>
        tensor.choices.map((choice, index) => ({
          cost: budget.costOf(tensor, choice),
          error: measuredError(errors, tensor.candidate.canonicalName, index),
        })),
      );
      const { levels, error, isExact } = allocateLevels(layers, budget.bytes);
      const types = new Map<string, ChosenType>();
      for (const [index, { candidate, choices }] of free.entries()) {
        const choice = choices[levels[index] ?? 0];
        if (choice !== undefined) types.set(candidate.canonicalName, choice);
      }
      const averageBits = averageBitsOf(resolved, types);
      return { types, facts: { method: 'dp', averageBits, predictedKlDivergence: error, isExact } };
    },
  };
}

/** An error that was not measured must not count as none: the allocation would choose it first. */
function measuredError(errors: ReadonlyMap<string, readonly number[]>, name: string, index: number): number {
  const error = errors.get(name)?.[index];
  if (error === undefined) {
    throw new KernelError({
      code: 'BUG_UNEXPECTED',
      what: `The error of type ${index} of the tensor '${name}' was not measured.`,
      whatToDo: 'This is a fault in Lathe: please report it with the text above.',
    });
  }
  return error;
}

/** The largest format that all tensors can have within the budget. */
function largestUniform(
  formats: readonly string[],
  free: readonly ResolvedTensor[],
  budget: FormatBudget,
): Map<string, ChosenType> | null {
  const fitting = formats
    .map((format) => {
      const types = new Map<string, ChosenType>();
      let bytes = 0;
      for (const tensor of free) {
        const choice = fittingType(format.toUpperCase() as GgmlType, tensor.candidate.shape);
        types.set(tensor.candidate.canonicalName, choice);
        bytes += budget.costOf(tensor, choice);
      }
      return { types, bytes };
    })
    .filter(({ bytes }) => bytes <= budget.bytes)
    .sort((one, other) => other.bytes - one.bytes);
  return fitting[0]?.types ?? null;
}

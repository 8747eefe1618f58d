/** What formats cost, and how much of it there may be: exact integers, in bytes. */
import { UsageError } from '../../errors.ts';
import { formatBytes } from '../../units.ts';
import type { ChosenType } from '../gguf/gguf-types.ts';
import { storedBytesOf } from '../gguf/plan-gguf-export.ts';
import type { ResolvedTensor } from '../gguf/resolve-formats.ts';

/** Tensors begin at multiples of so many bytes in a GGUF file. */
const ALIGNMENT = 32;

export interface FormatBudget {
  /** Of all tensors that have a choice, together. */
  bytes: number;
  /** Of a tensor in a type: as the budget counts it. */
  costOf: (tensor: ResolvedTensor, choice: ChosenType) => number;
}

export interface BudgetRequest {
  averageBits?: number | undefined;
  totalBytes?: number | undefined;
}

/**
 * The budget of an allocation.
 *
 * @param resolved all tensors of the file
 * @param fileBytesOf the size of the whole file, where each tensor has the type given, or its only one
 * @throws UsageError ALLOCATION_BUDGET_TOO_SMALL, saying which would do
 */
export function formatBudget(
  { averageBits, totalBytes }: BudgetRequest,
  resolved: readonly ResolvedTensor[],
  fileBytesOf: (types: ReadonlyMap<string, ChosenType>) => number,
): FormatBudget {
  const budget =
    totalBytes === undefined ? byBits(averageBits ?? 0, resolved) : byFile(totalBytes, resolved, fileBytesOf);
  const least = sumOf(withChoice(resolved), (tensor) => costIn(budget, tensor, cheapestChoice(tensor, budget.costOf)));
  if (least <= budget.bytes) return budget;
  const missing = least - budget.bytes;
  throw new UsageError({
    code: 'ALLOCATION_BUDGET_TOO_SMALL',
    what:
      totalBytes === undefined
        ? `averageBits is ${averageBits ?? 0}, but with the smallest format of every tensor there are ${bitsNeeded(missing, averageBits ?? 0, resolved)} bits a weight.`
        : `totalBytes is ${totalBytes} (${formatBytes(totalBytes)}), but with the smallest format of every tensor the file has ${totalBytes + missing} bytes (${formatBytes(totalBytes + missing)}).`,
    whatToDo:
      totalBytes === undefined
        ? `Set averageBits to ${bitsNeeded(missing, averageBits ?? 0, resolved)} or more (or take a preset of more bits), or offer smaller formats.`
        : `Set totalBytes to ${totalBytes + missing} or more (--fit takes ${Math.ceil((totalBytes + missing) / 1024)}KiB), or offer smaller formats.`,
  });
}

/** Tensors among whose types an allocation chooses. */
export function withChoice(resolved: readonly ResolvedTensor[]): ResolvedTensor[] {
  return resolved.filter(({ choices }) => choices.length > 1);
}

/** The smallest of a tensor's types. */
export function cheapestChoice(tensor: ResolvedTensor, costOf: FormatBudget['costOf']): ChosenType | undefined {
  return [...tensor.choices].sort((one, other) => costOf(tensor, one) - costOf(tensor, other))[0];
}

/** Stored bits over the weights that the step touches. */
export function averageBitsOf(resolved: readonly ResolvedTensor[], types: ReadonlyMap<string, ChosenType>): number {
  const touched = resolved.filter(({ isTouched }) => isTouched);
  const bytes = sumOf(touched, (tensor) => {
    const choice = types.get(tensor.candidate.canonicalName) ?? tensor.choices[0];
    return choice === undefined ? 0 : storedBytesOf(tensor.candidate.elements, choice.type);
  });
  const weights = sumOf(touched, ({ candidate }) => candidate.elements);
  return weights === 0 ? 0 : (8 * bytes) / weights;
}

/** Every stored bit over the weights that the step touches; types that are given leave less for the others. */
function byBits(averageBits: number, resolved: readonly ResolvedTensor[]): FormatBudget {
  const touched = resolved.filter(({ isTouched }) => isTouched);
  const weights = sumOf(touched, ({ candidate }) => candidate.elements);
  const costOf: FormatBudget['costOf'] = ({ candidate }, { type }) => storedBytesOf(candidate.elements, type);
  const fixed = sumOf(
    touched.filter(({ choices }) => choices.length === 1),
    (tensor) => costIn({ costOf }, tensor, tensor.choices[0]),
  );
  return { bytes: Math.floor((averageBits * weights) / 8) - fixed, costOf };
}

/** The whole file, headers and padding counted. */
function byFile(
  totalBytes: number,
  resolved: readonly ResolvedTensor[],
  fileBytesOf: (types: ReadonlyMap<string, ChosenType>) => number,
): FormatBudget {
  const costOf: FormatBudget['costOf'] = ({ candidate }, { type }) => {
    return Math.ceil(storedBytesOf(candidate.elements, type) / ALIGNMENT) * ALIGNMENT;
  };
  const cheapest = new Map<string, ChosenType>();
  for (const tensor of resolved) {
    const choice = cheapestChoice(tensor, costOf);
    if (choice !== undefined) cheapest.set(tensor.candidate.canonicalName, choice);
  }
  const chosen = sumOf(withChoice(resolved), (tensor) => {
    return costIn({ costOf }, tensor, cheapest.get(tensor.candidate.canonicalName));
  });
  // The last tensor of a file need not be padded: it is counted as if it were.
  const others = Math.ceil(fileBytesOf(cheapest) / ALIGNMENT) * ALIGNMENT - chosen;
  return { bytes: totalBytes - others, costOf };
}

function costIn(
  { costOf }: Pick<FormatBudget, 'costOf'>,
  tensor: ResolvedTensor,
  choice: ChosenType | undefined,
): number {
  return choice === undefined ? 0 : costOf(tensor, choice);
}

/** Rounded up to what can be written in a recipe. */
function bitsNeeded(missingBytes: number, averageBits: number, resolved: readonly ResolvedTensor[]): string {
  const weights = sumOf(
    resolved.filter(({ isTouched }) => isTouched),
    ({ candidate }) => candidate.elements,
  );
  return (Math.ceil((averageBits + (8 * missingBytes) / Math.max(1, weights)) * 1e4) / 1e4).toFixed(4);
}

function sumOf<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}

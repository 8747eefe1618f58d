import type { WeightRequest, WeightSource } from '../model/weight-source.ts';
import type { WeightBinding } from './part-graph.ts';

const BYTES_PER_WEIGHT = 4;
const ALIGNED_ELEMENTS = 16;

/** The weights of one part, by their tensors' names. */
export type PartWeights = ReadonlyMap<string, Float32Array>;

/**
 * The weights of a walk over parts, as f32: as many parts as the budget holds stay in memory, the others are read anew in
 * every walk, each one while the part before it runs.
 *
 * Two buffers, each as large as the largest streamed part, take turns.
 */
export class WeightStore {
  readonly #source: WeightSource;
  readonly #parts: readonly (readonly WeightBinding[])[];
  /** Parts below this index stay in memory. */
  readonly #residentParts: number;
  readonly #resident = new Map<number, Promise<PartWeights>>();
  /** Of the resident parts: two parts may share a tensor, as a tied head and the embedding do. */
  readonly #tensors = new Map<string, Promise<Float32Array>>();
  readonly #slots: [Slot, Slot];
  /** What the slots hold, or are being filled with. */
  readonly #streamed = new Map<number, Promise<PartWeights>>();

  /** @param budgetBytes for resident parts and the two buffers together */
  constructor(source: WeightSource, parts: readonly (readonly WeightBinding[])[], budgetBytes: number) {
    this.#source = source;
    this.#parts = parts;
    const { residentParts, slotElements } = divideBudget(parts.map(elementsOf), budgetBytes / BYTES_PER_WEIGHT);
    this.#residentParts = residentParts;
    const newSlot = (): Slot => ({ elements: slotElements, buffer: null, lastRead: Promise.resolve() });
    this.#slots = [newSlot(), newSlot()];
  }

  /** Parts that all stay in memory. */
  static resident(source: WeightSource, parts: readonly (readonly WeightBinding[])[]): WeightStore {
    return new WeightStore(source, parts, Infinity);
  }

  /** Whether every walk reads weights again. */
  get isStreaming(): boolean {
    return this.#residentParts < this.#parts.length;
  }

  /**
   * The weights of a part, left alone until the next call; begins to read those of the part after it.
   *
   * @throws what the source throws
   */
  async acquire(index: number): Promise<PartWeights> {
    const weights = await this.#load(index);
    const next = (index + 1) % this.#parts.length;
    const isFree =
      next !== index && (this.#isResident(next) || this.#isResident(index) || !this.#sharesSlot(index, next));
    if (isFree) this.#load(next).catch(() => undefined);
    return weights;
  }

  #isResident(index: number): boolean {
    return index < this.#residentParts;
  }

  #sharesSlot(one: number, other: number): boolean {
    return (one - other) % 2 === 0;
  }

  #load(index: number): Promise<PartWeights> {
    const held = this.#isResident(index) ? this.#resident : this.#streamed;
    const known = held.get(index);
    if (known !== undefined) return known;
    const bindings = this.#parts[index] ?? [];
    const loading = this.#isResident(index) ? this.#readResident(bindings) : this.#readIntoSlot(index, bindings);
    held.set(index, loading);
    // A read that failed is tried again when the part is asked for again.
    loading.catch(() => {
      if (held.get(index) === loading) held.delete(index);
    });
    return loading;
  }

  /** Only what no other part has read. */
  async #readResident(bindings: readonly WeightBinding[]): Promise<PartWeights> {
    const missing = bindings.filter(({ tensor }) => !this.#tensors.has(tensor));
    const reading = this.#read(
      missing,
      missing.map((binding) => new Float32Array(elementCount(binding))),
    );
    for (const { tensor } of missing) {
      const one = reading.then((weights) => weights.get(tensor) ?? new Float32Array(0));
      this.#tensors.set(tensor, one);
      one.catch(() => this.#tensors.delete(tensor));
    }
    await reading;
    const weights = new Map<string, Float32Array>();
    for (const { tensor } of bindings) {
      const values = await this.#tensors.get(tensor);
      if (values !== undefined) weights.set(tensor, values);
    }
    return weights;
  }

  #readIntoSlot(index: number, bindings: readonly WeightBinding[]): Promise<PartWeights> {
    for (const other of [...this.#streamed.keys()]) {
      if (this.#sharesSlot(index, other)) this.#streamed.delete(other);
    }
    const slot = this.#slots[index % 2 === 0 ? 0 : 1];
    const buffer = (slot.buffer ??= new Float32Array(slot.elements));
    // After a walk that was stopped, an older read may still be filling the buffer.
    const loading = slot.lastRead.then(() => this.#readStreamed(bindings, buffer));
    slot.lastRead = loading.then(
      () => undefined,
      () => undefined,
    );
    return loading;
  }

  #readStreamed(bindings: readonly WeightBinding[], buffer: Float32Array): Promise<PartWeights> {
    let at = 0;
    const places = bindings.map((binding) => {
      const elements = elementCount(binding);
      const place = buffer.subarray(at, at + elements);
      at += roundUp(elements);
      return place;
    });
    return this.#read(bindings, places);
  }

  async #read(bindings: readonly WeightBinding[], places: readonly Float32Array[]): Promise<PartWeights> {
    const requests = bindings.map(({ tensor }, index): WeightRequest => {
      return { name: tensor, out: places[index] ?? new Float32Array(0) };
    });
    if (this.#source.readTogether !== undefined) await this.#source.readTogether(requests);
    else for (const { name, out } of requests) await this.#source.read(name, out);
    const weights = new Map<string, Float32Array>();
    for (const [index, { name, out }] of requests.entries()) {
      if (bindings[index]?.addsOne === true) {
        for (let element = 0; element < out.length; element++) out[element] = 1 + (out[element] ?? 0);
      }
      weights.set(name, out);
    }
    return weights;
  }
}

interface Slot {
  elements: number;
  /** Made when it is first needed. */
  buffer: Float32Array | null;
  lastRead: Promise<void>;
}

function elementCount({ shape }: WeightBinding): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Tensors start at multiples of a cache line. */
function roundUp(elements: number): number {
  return Math.ceil(elements / ALIGNED_ELEMENTS) * ALIGNED_ELEMENTS;
}

function elementsOf(bindings: readonly WeightBinding[]): number {
  return bindings.reduce((sum, binding) => sum + roundUp(elementCount(binding)), 0);
}

/** The longest run of first parts that can stay when the rest still gets two buffers. */
function divideBudget(elements: readonly number[], budget: number): { residentParts: number; slotElements: number } {
  const total = elements.reduce((sum, count) => sum + count, 0);
  if (total <= budget) return { residentParts: elements.length, slotElements: 0 };
  const slotElements = Math.max(...elements);
  let rest = budget - 2 * slotElements;
  let residentParts = 0;
  for (const count of elements) {
    rest -= count;
    if (rest < 0) break;
    residentParts++;
  }
  return { residentParts, slotElements };
}

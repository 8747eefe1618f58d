import { ModelError, NumericsError, WorkbenchError } from '../../errors.ts';
import type { CallOptions, FloatDtype, Kernels } from '../../kernels/kernels.ts';
import type { WeightRequest, WeightSource } from '../../model/weight-source.ts';
import { quoted } from '../../quoted.ts';
import type { CodedPart, LogicalTensor } from './coded-parts.ts';

const FLOAT_DTYPES: readonly string[] = ['BF16', 'F16', 'F32'] satisfies FloatDtype[];

/**
 * The tensors of safetensors files, DFloat11 units and split-plane files as f32: decoded into memory, coded or plain.
 *
 * Tensors of one DFloat11 unit are decoded together where they are asked for together.
 */
export class CodedWeightSource implements WeightSource {
  readonly #places = new Map<string, { part: CodedPart; tensor: LogicalTensor }>();
  readonly #kernels: Kernels;
  readonly #call: () => CallOptions;

  /** @param call options for the next kernel call */
  constructor(parts: readonly CodedPart[], kernels: Kernels, call: () => CallOptions) {
    for (const part of parts) for (const tensor of part.tensors) this.#places.set(tensor.name, { part, tensor });
    this.#kernels = kernels;
    this.#call = call;
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#places.keys());
  }

  shapeOf(name: string): readonly number[] | null {
    return this.#places.get(name)?.tensor.shape ?? null;
  }

  requireNumbers(names: readonly string[]): void {
    for (const name of names) {
      const place = this.#places.get(name);
      if (place !== undefined) floatDtype(place.tensor);
    }
  }

  read(name: string, out: Float32Array): Promise<void> {
    return this.readTogether([{ name, out }]);
  }

  /** @throws ModelError MODEL_TENSOR_MISSING, MODEL_DTYPE_UNSUPPORTED; NumericsError NUMERICS_NOT_FINITE; as `decode` */
  async readTogether(requests: readonly WeightRequest[]): Promise<void> {
    const byPart = new Map<CodedPart, WeightRequest[]>();
    for (const request of requests) {
      const place = this.#places.get(request.name);
      if (place === undefined) throw missing(request.name);
      const others = byPart.get(place.part);
      if (others === undefined) byPart.set(place.part, [request]);
      else others.push(request);
    }
    for (const [part, wanted] of byPart) await this.#decode(part, wanted);
  }

  async #decode(part: CodedPart, wanted: readonly WeightRequest[]): Promise<void> {
    const [first] = part.tensors;
    if (first === undefined) return;
    const pieces = part.tensors.map(({ name, shape }) => {
      const elements = shape.reduce((product, dimension) => product * dimension, 1);
      return { elements, out: wanted.find((request) => request.name === name)?.out ?? null };
    });
    try {
      const target = { kind: 'floats', dtype: floatDtype(first), pieces } as const;
      await part.decode(target, { kernels: this.#kernels, call: this.#call });
    } catch (error) {
      throw error instanceof WorkbenchError && error.code === 'NUMERICS_NOT_FINITE'
        ? this.#notFinite(error, wanted)
        : error;
    }
  }

  /** The kernel knows no names: the memory that it was filling tells the tensor. */
  #notFinite(error: WorkbenchError, wanted: readonly WeightRequest[]): NumericsError {
    const found = wanted.find(({ out }) => out.some((weight) => !Number.isFinite(weight)));
    const name = found?.name ?? wanted[0]?.name ?? '';
    const index = found?.out.findIndex((weight) => !Number.isFinite(weight)) ?? 0;
    return new NumericsError({
      code: 'NUMERICS_NOT_FINITE',
      what: `Tensor ${quoted(name)} holds ${found?.out[index] ?? 'a value that is no number'} at index ${index}.`,
      where: { tensor: name },
      whatToDo: 'Get these weights again: a model with such values cannot be run.',
      cause: error,
    });
  }
}

function floatDtype({ name, dtype }: LogicalTensor): FloatDtype {
  const known = FLOAT_DTYPES.find((candidate) => candidate === dtype);
  if (known !== undefined) return known as FloatDtype;
  throw new ModelError({
    code: 'MODEL_DTYPE_UNSUPPORTED',
    what: `Tensor ${quoted(name)} is of dtype ${quoted(dtype)}, expected one of ${FLOAT_DTYPES.join(', ')}.`,
    where: { tensor: name },
    whatToDo: 'Use a copy of this model in BF16, F16 or F32.',
  });
}

function missing(name: string): ModelError {
  return new ModelError({
    code: 'MODEL_TENSOR_MISSING',
    what: `Tensor ${quoted(name)} is not stored.`,
    where: { tensor: name },
    whatToDo: 'Download all of the weights.',
  });
}

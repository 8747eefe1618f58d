import type * as OnnxRuntime from 'onnxruntime-node';
import { KernelError, ResourceError } from '../../core/errors.ts';
import type { InferenceRuntime, RuntimeSession, RuntimeTensor } from '../../core/forward/inference-runtime.ts';

type Library = typeof OnnxRuntime;

/**
 * ONNX Runtime on the CPU. It runs in the thread that calls it and holds it until the graph is done: call it from a
 * worker thread.
 *
 * `ORT_DISABLE_TELEMETRY=1` must be in the process's environment before: it is read when the library is loaded, and a
 * worker thread's own environment does not count.
 * @throws KernelError INFERENCE_UNAVAILABLE
 */
export async function openOnnxRuntime({ threads }: { threads: number }): Promise<InferenceRuntime> {
  const library = await loadLibrary();
  const { InferenceSession } = library;
  const options = {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Only errors: its warnings are about its own choices.
    logSeverityLevel: 3 as const,
    // A thread that spins while it waits takes a core from the kernels, and CPU time from everybody.
    extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
  };
  return {
    version: `onnxruntime ${library.env.versions.node ?? library.env.versions.common}`,
    async open(model) {
      try {
        const session = await InferenceSession.create(model, options);
        return wrap(library, session);
      } catch (cause) {
        throw failure(cause);
      }
    },
  };
}

async function loadLibrary(): Promise<Library> {
  if (process.env['ORT_DISABLE_TELEMETRY'] !== '1') {
    throw new KernelError({
      code: 'INFERENCE_UNAVAILABLE',
      what: 'ORT_DISABLE_TELEMETRY is not 1 in this process, so ONNX Runtime would send telemetry.',
      whatToDo: 'Set ORT_DISABLE_TELEMETRY=1 before the process starts.',
    });
  }
  try {
    return await import('onnxruntime-node');
  } catch (cause) {
    throw new KernelError({
      code: 'INFERENCE_UNAVAILABLE',
      what: `ONNX Runtime cannot be loaded: ${messageOf(cause)}.`,
      whatToDo: 'Install the npm packages again with "npm ci".',
      cause,
    });
  }
}

function wrap(library: Library, session: Awaited<ReturnType<Library['InferenceSession']['create']>>): RuntimeSession {
  const convert = (tensors: Record<string, RuntimeTensor>) => {
    const converted: Record<string, InstanceType<Library['Tensor']>> = {};
    for (const [name, tensor] of Object.entries(tensors)) converted[name] = toTensor(library, tensor);
    return converted;
  };
  return {
    async run(inputs, outputs) {
      try {
        await session.run(convert(inputs), convert(outputs));
      } catch (cause) {
        throw failure(cause);
      }
    },
    close: () => session.release(),
  };
}

/** The library works on the same memory: nothing is copied. */
function toTensor(library: Library, { type, data, shape }: RuntimeTensor): InstanceType<Library['Tensor']> {
  switch (type) {
    case 'float32':
      return new library.Tensor(type, data, shape);
    case 'int32':
      return new library.Tensor(type, data, shape);
    case 'int64':
      return new library.Tensor(type, data, shape);
  }
}

function failure(cause: unknown): KernelError | ResourceError {
  const text = messageOf(cause);
  if (/bad_alloc|failed to allocate|out of memory/i.test(text)) {
    return new ResourceError({
      code: 'RESOURCE_OUT_OF_MEMORY',
      what: `ONNX Runtime has no memory left: ${text}.`,
      whatToDo: 'Close other programs, or evaluate with a smaller --context or --memory-limit.',
      cause,
    });
  }
  return new KernelError({
    code: 'BUG_INFERENCE',
    what: `ONNX Runtime refuses a graph: ${text}.`,
    whatToDo: 'This is a fault in Lathe: please report it with the text above.',
    cause,
  });
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

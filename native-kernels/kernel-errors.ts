/** Kernel failures, from the binding's numbers to `WorkbenchError`s. */
import {
  FormatError,
  JobError,
  KernelError,
  ModelError,
  NumericsError,
  ResourceError,
  VerificationError,
  WorkbenchError,
  type ErrorCode,
  type ErrorPlace,
} from '../core/errors.ts';

type Constructor = new (parts: ConstructorParameters<typeof WorkbenchError>[0]) => WorkbenchError;

const REPORT = 'This is a fault in Lathe: please report it with the text above.';

/** `crates/kernels/src/error.rs`, `Status`: the numbers are pinned there. */
const BY_STATUS = new Map<number, { type: Constructor; code: ErrorCode; whatToDo: string; retryable?: boolean }>([
  [10, { type: JobError, code: 'JOB_CANCELLED', whatToDo: 'Start it again when you like.' }],
  [20, { type: ResourceError, code: 'FILE_IO', whatToDo: 'Check the disk and try again.', retryable: true }],
  [21, { type: ResourceError, code: 'FILE_NOT_FOUND', whatToDo: 'Check that the file is still there.' }],
  [
    22,
    { type: ResourceError, code: 'FILE_PERMISSION_DENIED', whatToDo: 'Give yourself access, or choose another place.' },
  ],
  [
    23,
    {
      type: ResourceError,
      code: 'RESOURCE_DISK_FULL',
      whatToDo: 'Free some space, then run it again with --resume.',
      retryable: true,
    },
  ],
  [
    24,
    {
      type: FormatError,
      code: 'FORMAT_FILE_CUT_SHORT',
      whatToDo: 'Copy or download the file again, and let nothing change it during the run.',
    },
  ],
  [
    25,
    {
      type: ResourceError,
      code: 'RESOURCE_OUT_OF_MEMORY',
      whatToDo: 'Close other programs or use fewer threads.',
      retryable: true,
    },
  ],
  [
    26,
    {
      type: JobError,
      code: 'JOB_OUTPUT_BUSY',
      whatToDo: 'Wait for the other run to end, or choose another output.',
      retryable: true,
    },
  ],
  [
    27,
    {
      type: ModelError,
      code: 'MODEL_CHANGED',
      whatToDo: 'Let nothing change the model during the run, then run it again.',
    },
  ],
  [40, { type: FormatError, code: 'FORMAT_CODED_DATA_MALFORMED', whatToDo: 'The file is damaged: get it again.' }],
  [41, { type: FormatError, code: 'FORMAT_CHECKSUM_MISMATCH', whatToDo: 'The file is damaged: get it again.' }],
  [
    50,
    {
      type: VerificationError,
      code: 'VERIFY_FAILED',
      whatToDo: 'Do not use this output; check disk and memory and run it again.',
    },
  ],
  [60, { type: NumericsError, code: 'NUMERICS_NOT_FINITE', whatToDo: 'Use a model whose values are all numbers.' }],
]);

interface NativeFailure {
  status: number;
  what: string;
  path: string | null;
  byteOffset: number | null;
}

function parseFailure(message: string): NativeFailure | null {
  if (!message.startsWith('{')) return null;
  try {
    return JSON.parse(message) as NativeFailure;
  } catch {
    return null;
  }
}

/** Gives any value thrown by the addon its type and code; what is unknown is a bug of ours. */
export function toWorkbenchError(thrown: unknown): WorkbenchError {
  if (thrown instanceof WorkbenchError) return thrown;
  const failure = thrown instanceof Error ? parseFailure(thrown.message) : null;
  if (failure === null) {
    const what = `The kernels failed: ${thrown instanceof Error ? thrown.message : String(thrown)}.`;
    return new KernelError({ code: 'BUG_KERNEL_ARGUMENT', what, whatToDo: REPORT, cause: thrown });
  }
  const where: ErrorPlace = { file: failure.path ?? undefined, byteOffset: failure.byteOffset ?? undefined };
  const what = `${failure.what.charAt(0).toUpperCase()}${failure.what.slice(1)}.`;
  const known = BY_STATUS.get(failure.status);
  if (known === undefined) {
    const code = failure.status === 71 ? 'BUG_KERNEL_PANIC' : 'BUG_KERNEL_ARGUMENT';
    return new KernelError({ code, what, where, whatToDo: REPORT, cause: thrown });
  }
  const { type, code, whatToDo, retryable } = known;
  return new type({ code, what, where, whatToDo, retryable, cause: thrown });
}

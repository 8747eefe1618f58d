/**
 * Every failure that Lathe can report, by code. Callers test for the code, never for the text.
 *
 * Three kinds are kept apart: *cancelled* (`JOB_CANCELLED`, silent), *expected* (any other `WorkbenchError`) and *bug*
 * (anything that is not a `WorkbenchError`, or one of code `BUG_*`). A code is never given a second meaning.
 */

/** What the exit codes of the command line mean (contract, section 1). */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  input: 3,
  resources: 4,
  verification: 5,
  quality: 6,
  bug: 70,
  interrupted: 75,
  cancelled: 130,
} as const;

/** Every code with the exit status it leads to. */
const EXIT_BY_CODE = {
  // Command line and recipes.
  USAGE_UNKNOWN_COMMAND: EXIT.usage,
  USAGE_INVALID_ARGUMENT: EXIT.usage,
  USAGE_OUTPUT_IS_INPUT: EXIT.usage,
  RECIPE_NOT_FOUND: EXIT.usage,
  RECIPE_SYNTAX: EXIT.usage,
  RECIPE_UNKNOWN_KEY: EXIT.usage,
  RECIPE_INVALID_VALUE: EXIT.usage,
  RECIPE_NOT_SUPPORTED: EXIT.usage,
  RECIPE_INVALID_PATTERN: EXIT.usage,
  BATCH_NOT_FOUND: EXIT.usage,
  BATCH_SYNTAX: EXIT.usage,
  BATCH_UNKNOWN_KEY: EXIT.usage,
  BATCH_INVALID_VALUE: EXIT.usage,
  BATCH_JOBS_FAILED: EXIT.failed,
  CACHE_ENTRY_LOST: EXIT.failed,
  ALLOCATION_BUDGET_TOO_SMALL: EXIT.usage,
  JOB_RESUME_MISMATCH: EXIT.usage,
  // Input files: bad for ever, trying again does not help.
  FORMAT_HEADER_OUT_OF_FILE: EXIT.input,
  FORMAT_HEADER_TOO_LARGE: EXIT.input,
  FORMAT_HEADER_NOT_JSON: EXIT.input,
  FORMAT_HEADER_TOO_DEEP: EXIT.input,
  FORMAT_HEADER_INVALID: EXIT.input,
  FORMAT_DUPLICATE_KEY: EXIT.input,
  FORMAT_OFFSET_NOT_INTEGER: EXIT.input,
  FORMAT_OFFSETS_REVERSED: EXIT.input,
  FORMAT_TENSOR_OUT_OF_FILE: EXIT.input,
  FORMAT_TENSOR_OVERLAP: EXIT.input,
  FORMAT_TENSOR_GAP: EXIT.input,
  FORMAT_TRAILING_BYTES: EXIT.input,
  FORMAT_SHAPE_MISMATCH: EXIT.input,
  FORMAT_SHAPE_OVERFLOW: EXIT.input,
  FORMAT_UNKNOWN_DTYPE: EXIT.input,
  FORMAT_UNSUPPORTED_VERSION: EXIT.input,
  FORMAT_CODED_DATA_MALFORMED: EXIT.input,
  FORMAT_CHECKSUM_MISMATCH: EXIT.input,
  FORMAT_FILE_CUT_SHORT: EXIT.input,
  FORMAT_UNIT_INCOMPLETE: EXIT.input,
  FORMAT_LATHE_JSON_INVALID: EXIT.input,
  IMATRIX_INVALID: EXIT.input,
  IMATRIX_DIFFERS: EXIT.input,
  MODEL_UNKNOWN_KIND: EXIT.input,
  MODEL_PICKLE_REFUSED: EXIT.input,
  MODEL_INDEX_INVALID: EXIT.input,
  MODEL_SHARD_MISSING: EXIT.input,
  MODEL_FILE_OUTSIDE_FOLDER: EXIT.input,
  MODEL_NOT_A_FILE: EXIT.input,
  MODEL_TENSOR_MISSING: EXIT.input,
  MODEL_DUPLICATE_TENSOR: EXIT.input,
  MODEL_CONFIG_INVALID: EXIT.input,
  MODEL_NAME_COLLISION: EXIT.input,
  MODEL_ALREADY_COMPRESSED: EXIT.input,
  MODEL_CHANGED: EXIT.input,
  MODEL_ARCHITECTURE_UNKNOWN: EXIT.input,
  MODEL_SHAPE_MISMATCH: EXIT.input,
  MODEL_TENSOR_UNEXPECTED: EXIT.input,
  MODEL_TOKEN_OUT_OF_VOCABULARY: EXIT.input,
  MODEL_DTYPE_UNSUPPORTED: EXIT.input,
  MODEL_SEQUENCE_TOO_LONG: EXIT.input,
  NUMERICS_NOT_FINITE: EXIT.input,
  TOKENIZER_MISSING: EXIT.input,
  TOKENIZER_INVALID: EXIT.input,
  TOKENIZER_NOT_SUPPORTED: EXIT.input,
  TEXT_NOT_UTF8: EXIT.input,
  TEXT_TOO_LARGE: EXIT.input,
  TEXT_RUN_TOO_LONG: EXIT.input,
  TEXT_TOO_SHORT: EXIT.input,
  CHOICES_INVALID: EXIT.input,
  EVALUATE_REFERENCE_DIFFERS: EXIT.input,
  EVALUATE_CONTEXT_TOO_LONG: EXIT.usage,
  MODEL_NOT_FOUND: EXIT.failed,
  MODEL_NOT_COMPRESSED: EXIT.failed,
  // The machine.
  FILE_PERMISSION_DENIED: EXIT.failed,
  FILE_IO: EXIT.failed,
  FILE_NOT_FOUND: EXIT.failed,
  RESOURCE_DISK_FULL: EXIT.resources,
  RESOURCE_OUT_OF_MEMORY: EXIT.resources,
  RESOURCE_MEMORY_LIMIT: EXIT.resources,
  RESOURCE_CACHE_LIMIT: EXIT.resources,
  // Jobs.
  JOB_OUTPUT_EXISTS: EXIT.failed,
  JOB_OUTPUT_BUSY: EXIT.failed,
  JOB_UNFINISHED_RUN_EXISTS: EXIT.failed,
  JOB_UNKNOWN: EXIT.failed,
  JOB_INTERRUPTED: EXIT.interrupted,
  JOB_CANCELLED: EXIT.cancelled,
  // Past runs and their journals.
  RUN_NOT_FOUND: EXIT.failed,
  RUN_AMBIGUOUS: EXIT.usage,
  RUN_NOT_RESUMABLE: EXIT.failed,
  RUN_JOURNAL_INVALID: EXIT.input,
  RUN_JOURNAL_NEWER: EXIT.input,
  VERIFY_FAILED: EXIT.verification,
  QUALITY_LIMIT_MISSED: EXIT.quality,
  // The workbench in a browser.
  SERVE_RENDERER_MISSING: EXIT.failed,
  SERVE_PORT_UNAVAILABLE: EXIT.failed,
  // An engine in another process.
  ENGINE_PROTOCOL: EXIT.bug,
  ENGINE_GONE: EXIT.bug,
  // Ours.
  KERNEL_UNAVAILABLE: EXIT.bug,
  INFERENCE_UNAVAILABLE: EXIT.bug,
  BUG_INFERENCE: EXIT.bug,
  BUG_KERNEL_ARGUMENT: EXIT.bug,
  BUG_KERNEL_PANIC: EXIT.bug,
  BUG_UNEXPECTED: EXIT.bug,
} as const;

export type ErrorCode = keyof typeof EXIT_BY_CODE;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(EXIT_BY_CODE, text);
}

/** Where something went wrong. Every part is optional; the more the better. */
export interface ErrorPlace {
  file?: string | undefined;
  tensor?: string | undefined;
  byteOffset?: number | undefined;
  line?: number | undefined;
  column?: number | undefined;
  job?: string | undefined;
}

/** The parts of a `WorkbenchError`, as they cross thread and process borders and stand in `--json` output. */
export interface ErrorParts {
  code: ErrorCode;
  /** The thing in quotes, the value found, the value expected or the limit. */
  what: string;
  where?: ErrorPlace | undefined;
  /** One imperative sentence. */
  whatToDo: string;
  /** True where the same call may succeed later without any change of its input. */
  retryable?: boolean | undefined;
  cause?: unknown;
}

export class WorkbenchError extends Error {
  readonly code: ErrorCode;
  readonly what: string;
  readonly where: ErrorPlace;
  readonly whatToDo: string;
  readonly retryable: boolean;

  constructor(parts: ErrorParts) {
    super(`${parts.what} ${parts.whatToDo}`, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = new.target.name;
    this.code = parts.code;
    this.what = parts.what;
    this.where = parts.where ?? {};
    this.whatToDo = parts.whatToDo;
    this.retryable = parts.retryable ?? false;
  }
}

/** A file that is bad for ever: no retry helps. */
export class FormatError extends WorkbenchError {}
/** A folder of files that do not make a model, or not one that Lathe takes. */
export class ModelError extends WorkbenchError {}
/** A NaN or an infinity among weights, or where only numbers can be worked with. */
export class NumericsError extends WorkbenchError {}
/** The command line or a recipe asks for something that does not exist. */
export class UsageError extends WorkbenchError {}
/** Memory, disk, permissions: the machine cannot, at present. */
export class ResourceError extends WorkbenchError {}
/** Decoded data differ from what they must be. */
export class VerificationError extends WorkbenchError {}
/** A job cannot start, or was stopped. */
export class JobError extends WorkbenchError {}
/** A kernel failed in a way that its callers should have made impossible. */
export class KernelError extends WorkbenchError {}

/** The exit status of the command line for any thrown value; a stranger is a bug of ours. */
export function exitCodeOf(error: unknown): number {
  return error instanceof WorkbenchError ? EXIT_BY_CODE[error.code] : EXIT.bug;
}

/** Plain data for `--json`, a journal or a message to another thread. */
export interface SerializedError {
  code: ErrorCode;
  what: string;
  where: ErrorPlace;
  whatToDo: string;
  retryable: boolean;
  stack?: string | undefined;
}

export function serializeError(error: unknown): SerializedError {
  if (error instanceof WorkbenchError) {
    const { code, what, where, whatToDo, retryable, stack } = error;
    return { code, what, where, whatToDo, retryable, stack };
  }
  return {
    code: 'BUG_UNEXPECTED',
    what: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    where: {},
    whatToDo: 'This is a fault in Lathe: please report it with the text above.',
    retryable: false,
    stack: error instanceof Error ? error.stack : undefined,
  };
}

/** An error that crossed a thread or process border: its code and place are what they were, its class is the general one. */
export function deserializeError({ stack, ...parts }: SerializedError): WorkbenchError {
  const error = new WorkbenchError(parts);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** Makes a switch over a closed union fail to compile when a member is added, and throws if one comes at run time. */
export function assertNever(value: never, meaning: string): never {
  throw new KernelError({
    code: 'BUG_UNEXPECTED',
    what: `"${String(value)}" is not a known ${meaning}.`,
    whatToDo: 'This is a fault in Lathe: please report it.',
  });
}

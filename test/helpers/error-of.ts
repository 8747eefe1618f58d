import { WorkbenchError } from '../../core/errors.ts';

/** The expected error that a call throws or rejects with; anything else fails the test. */
export async function errorOf(call: () => unknown): Promise<WorkbenchError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof WorkbenchError) return error;
    throw error;
  }
  throw new Error('expected an error, but the call succeeded');
}

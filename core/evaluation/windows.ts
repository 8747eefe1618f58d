import { FormatError } from '../errors.ts';
import { quoted } from '../quoted.ts';
import { formatCount } from '../units.ts';

/**
 * Cuts token ids into windows that do not overlap; the incomplete last one is dropped.
 *
 * Source: the contract, section 4 ("Evaluation protocol").
 * @param text its name, for the message
 * @param flag what sets the length of a window, for the message
 * @returns views of `ids`, each of `context` ids
 * @throws FormatError TEXT_TOO_SHORT where there is not one whole window
 */
export function cutWindows(ids: Int32Array, context: number, text: string, flag = '--context'): Int32Array[] {
  const count = Math.floor(ids.length / context);
  if (count === 0) {
    throw new FormatError({
      code: 'TEXT_TOO_SHORT',
      what: `The text ${quoted(text)} gives ${formatCount(ids.length)} token${ids.length === 1 ? '' : 's'}, fewer than one window of ${formatCount(context)}.`,
      where: { file: text },
      whatToDo: `Take a longer text, or a smaller ${flag}.`,
    });
  }
  return Array.from({ length: count }, (_, window) => ids.subarray(window * context, (window + 1) * context));
}

import { JSON_SCHEMAS } from '../../core/contract/json-schemas.ts';
import { formatAlternatives, invalidArgument } from '../flag-values.ts';
import type { SchemaInvocation } from '../invocation.ts';
import type { CommandOutcome } from './command-context.ts';

/**
 * `lathe schema recipe|batch|result`: the JSON Schema itself. With `--json` it has the key `schema: 1` of every document, an
 * unknown keyword that validators ignore.
 *
 * @throws UsageError USAGE_INVALID_ARGUMENT
 */
export function runSchema({ kind }: SchemaInvocation): CommandOutcome {
  if (kind !== 'recipe' && kind !== 'batch' && kind !== 'result') {
    throw invalidArgument(
      `"${kind}" is not a published schema.`,
      `Write ${formatAlternatives(Object.keys(JSON_SCHEMAS))}.`,
    );
  }
  const schema = JSON_SCHEMAS[kind]();
  return {
    document: { schema: 1, ...schema },
    summary: () => JSON.stringify(schema, null, 2).split('\n'),
    notes: [],
  };
}

import { describe, expect, it } from 'vitest';
import { errorOf } from '../../../helpers/error-of.ts';
import { checkFingerprints, checkUnchanged, type Fingerprints } from '../../../../workers/engine/fingerprints.ts';

const BEGUN: Fingerprints = {
  version: '1.0.0',
  recipe: 'a'.repeat(64),
  model: '/models/a',
  modelFiles: [
    ['config.json', 10, 1000.5],
    ['model.safetensors', 20, 2000],
  ],
};

/** What changes, and how the error names it; of several changes the first is told. */
const CHANGES: [change: Partial<Fingerprints>, named: RegExp][] = [
  [{ version: '1.0.1' }, /begun by Lathe 1\.0\.0, and this is Lathe 1\.0\.1/],
  [{ model: '/models/b' }, /begun with the model "\/models\/a", and this one is "\/models\/b"/],
  [{ recipe: 'b'.repeat(64) }, /the recipe has changed/],
  [{ modelFiles: [...BEGUN.modelFiles, ['z', 0, 0]] }, /"z" is new/],
  [{ modelFiles: BEGUN.modelFiles.slice(0, 1) }, /"model\.safetensors" is gone/],
  [{ modelFiles: [['config.json', 11, 1000.5], ...BEGUN.modelFiles.slice(1)] }, /"config\.json" has changed/],
  [{ modelFiles: [['config.json', 10, 1000.25], ...BEGUN.modelFiles.slice(1)] }, /"config\.json" has changed/],
  [{ version: '2', recipe: 'c', modelFiles: [] }, /Lathe 2/],
  [{ recipe: 'c', modelFiles: [] }, /recipe/],
];

describe('a run', () => {
  it('goes on with what it was begun with, whatever order the files are listed in', () => {
    checkFingerprints(BEGUN, { ...BEGUN, modelFiles: [...BEGUN.modelFiles].reverse() });
    checkUnchanged(BEGUN, JSON.parse(JSON.stringify(BEGUN)) as Fingerprints);
  });

  it.each(CHANGES)('does not go on with %j', async (change, named) => {
    const now = { ...BEGUN, ...change };
    const refused = await errorOf(() => checkFingerprints(BEGUN, now));
    expect(refused.code).toBe('JOB_RESUME_MISMATCH');
    expect(refused.what).toMatch(named);
    const changed = await errorOf(() => checkUnchanged(BEGUN, now));
    expect(changed.code).toBe('MODEL_CHANGED');
    expect(changed.what).toMatch(named);
  });
});

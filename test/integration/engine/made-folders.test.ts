import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeFolders } from '../../../workers/engine/durable-files.ts';
import { useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

describe('folders', () => {
  it('are made with those around them, and may be there', async () => {
    const path = place().at('a/b/c');
    await makeFolders(path);
    await makeFolders(path);
    expect(existsSync(path)).toBe(true);
  });

  it.skipIf(!existsSync('/proc/self'))(
    'are given up where the system takes none, rather than tried for ever',
    async () => {
      await expect(makeFolders('/proc/no-such-thing/out')).rejects.toMatchObject({ code: 'ENOENT' });
    },
  );
});

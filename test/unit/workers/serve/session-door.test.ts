import { describe, expect, it } from 'vitest';
import { SessionDoor } from '../../../../workers/serve/session-door.ts';

/** What a browser sends of what it was told to keep. */
function sent(setCookie: string | null): string {
  return setCookie?.split(';')[0] ?? '';
}

describe('the door', () => {
  it('takes a token once, for a cookie that no script and no other site can use', () => {
    const door = new SessionDoor(8470);
    const { token } = door;
    expect(token).toMatch(/^[\w-]{43}$/);
    const cookie = door.exchange(token);
    expect(cookie).toMatch(/^lathe-8470=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(door.exchange(token)).toBeNull();
    expect(door.token).not.toBe(token);
    expect(door.isInside(sent(cookie))).toBe(true);
  });

  it('lets several browsers in, each by a token of its own', () => {
    const door = new SessionDoor(8470);
    const cookies = [door.exchange(door.token), door.exchange(door.token)].map(sent);
    expect(new Set(cookies).size).toBe(2);
    for (const cookie of cookies) expect(door.isInside(cookie)).toBe(true);
  });

  it('finds its cookie among others', () => {
    const door = new SessionDoor(8470);
    const cookie = sent(door.exchange(door.token));
    expect(door.isInside(`lathe-9000=x; ${cookie};theme=dark`)).toBe(true);
    expect(door.isInside(`lathe-8470=forged; ${cookie}`)).toBe(true);
  });

  it.each([undefined, '', 'lathe-8470', 'lathe-8470=', 'lathe-8470=x', 'lathe-9000=SESSION', 'SESSION'])(
    'is closed for the cookies %j',
    (cookies) => {
      const door = new SessionDoor(8470);
      const session = sent(door.exchange(door.token)).split('=')[1] ?? '';
      expect(door.isInside(cookies?.replace('SESSION', session))).toBe(false);
    },
  );

  it.each(['', 'x', 'a'.repeat(43)])('is closed for the token %j', (token) => {
    expect(new SessionDoor(8470).exchange(token)).toBeNull();
  });

  it('keeps nothing of another door', () => {
    const cookie = sent(new SessionDoor(8470).exchange(new SessionDoor(8470).token));
    expect(new SessionDoor(8470).isInside(cookie)).toBe(false);
  });
});

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 256 bits: nobody guesses it. */
const SECRET_BYTES = 32;

/** Who may come in: whoever brings the token of the day once, and from then on whoever has the cookie that it was given for. */
export class SessionDoor {
  readonly #cookieName: string;
  readonly #sessions: string[] = [];
  #token = makeSecret();

  /** @param port cookies are not told apart by ports, and several servers may run here */
  constructor(port: number) {
    this.#cookieName = `lathe-${port}`;
  }

  /** The one that opens the door next. */
  get token(): string {
    return this.#token;
  }

  /**
   * Takes a token, which then is used up: there is another one.
   *
   * @returns the value of Set-Cookie; null for any other token
   */
  exchange(token: string): string | null {
    if (!areEqual(token, this.#token)) return null;
    this.#token = makeSecret();
    const session = makeSecret();
    this.#sessions.push(session);
    return `${this.#cookieName}=${session}; Path=/; HttpOnly; SameSite=Strict`;
  }

  /** Whether a Cookie header has a session of this server. */
  isInside(cookies: string | undefined): boolean {
    const mine = (cookies ?? '')
      .split(';')
      .map((cookie) => cookie.trim())
      .filter((cookie) => cookie.startsWith(`${this.#cookieName}=`))
      .map((cookie) => cookie.slice(this.#cookieName.length + 1));
    return mine.some((value) => this.#sessions.some((session) => areEqual(value, session)));
  }
}

function makeSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

/** In a time that does not tell how much of it is right. */
function areEqual(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

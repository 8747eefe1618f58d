/** Patterns of published models have up to 40 characters; ours name at most 500 indices each. */
const MAX_PATTERN_CHARACTERS = 4096;
/** Alternatives within alternatives; published patterns have none. */
const MAX_GROUP_DEPTH = 4;
/** Names of real modules have up to 100 characters. */
const MAX_NAME_CHARACTERS = 1000;
/** About 5 seconds. The largest published models take some million steps. */
const MAX_STEPS = 100_000_000;

/** Enough for all the patterns and modules of one model. */
export function newMatchBudget(): MatchBudget {
  return { steps: MAX_STEPS };
}

type CharacterTest = (unit: number) => boolean;

/** A state of the automaton: it either consumes a character or, with `test` null, branches freely. */
interface State {
  test: CharacterTest | null;
  next: number[];
}

/** Work that matching may still do, in steps of the automaton; below 0 the answers mean nothing. */
export interface MatchBudget {
  steps: number;
}

/** A pattern that is matched against whole module names. */
export interface ModulePattern {
  /** False for names above 1,000 characters, which no module has. Takes its steps from the budget, and ends when it is spent. */
  matches(module: string, budget?: MatchBudget): boolean;
}

/** Thrown inside the parser only; callers get its text. */
class PatternProblem extends Error {}

/**
 * Compiles a pattern of a DFloat11 pattern dictionary. It comes from a downloaded file, so it is not given to `RegExp`:
 * matching takes time in proportion to name x pattern, whatever the pattern.
 *
 * Source: DFloat11, `pattern_dict`: Python regular expressions with full match. Taken from their grammar: literals,
 * escaped punctuation, `.`, `\d`, classes such as `[0-9]`, each with `+`, `*` or `?`; groups of alternatives, without a
 * quantifier. Refused: everything else.
 * @returns the pattern, or the reason why it is refused, as the end of a sentence
 */
export function compileModulePattern(pattern: string): ModulePattern | { problem: string } {
  if (pattern.length > MAX_PATTERN_CHARACTERS) {
    return { problem: `has ${pattern.length} characters, more than the limit of ${MAX_PATTERN_CHARACTERS}` };
  }
  try {
    const parser = new PatternParser(pattern);
    const start = parser.parse();
    const automaton = new Automaton(parser.states, start);
    return { matches: (module, budget = newMatchBudget()) => automaton.accepts(module, budget) };
  } catch (error) {
    if (error instanceof PatternProblem) return { problem: error.message };
    throw error;
  }
}

/** The state that accepts. */
const ACCEPT = 0;

class Automaton {
  readonly #states: readonly State[];
  readonly #start: number;
  /** The round in which a state was last entered: rounds are counted over all calls, so that nothing is ever cleared. */
  readonly #enteredIn: Float64Array;
  #round = 0;

  constructor(states: readonly State[], start: number) {
    this.#states = states;
    this.#start = start;
    this.#enteredIn = new Float64Array(states.length);
  }

  accepts(text: string, budget: MatchBudget): boolean {
    if (text.length > MAX_NAME_CHARACTERS) return false;
    this.#round++;
    let current: number[] = [];
    this.#enter(this.#start, current);
    for (let i = 0; i < text.length && current.length > 0; i++) {
      budget.steps -= current.length;
      if (budget.steps < 0) return false;
      const unit = text.charCodeAt(i);
      const following: number[] = [];
      this.#round++;
      for (const index of current) {
        const state = this.#states[index];
        if (state?.test?.(unit)) for (const next of state.next) this.#enter(next, following);
      }
      current = following;
    }
    return current.includes(ACCEPT);
  }

  /** Adds a state, and all that it branches to, unless they were added in this round. */
  #enter(first: number, into: number[]): void {
    const queue = [first];
    for (let index = queue.pop(); index !== undefined; index = queue.pop()) {
      if (this.#enteredIn[index] === this.#round) continue;
      this.#enteredIn[index] = this.#round;
      into.push(index);
      const state = this.#states[index];
      if (state?.test === null) queue.push(...state.next);
    }
  }
}

/** An item of a sequence, ready to be put before the state that follows it. */
type Item = (next: number) => number;

const isDigit: CharacterTest = (unit) => unit >= 0x30 && unit <= 0x39;
/** Python's `.`: anything but a line feed. */
const isAny: CharacterTest = (unit) => unit !== 0x0a;

class PatternParser {
  readonly states: State[] = [{ test: null, next: [] }];
  readonly #tests = new Map<string, CharacterTest>();
  readonly #pattern: string;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  parse(): number {
    const item = this.#alternatives(0);
    if (this.#at < this.#pattern.length) throw new PatternProblem('has a ")" without "("');
    return item(ACCEPT);
  }

  #alternatives(depth: number): Item {
    const alternatives = [this.#sequence(depth)];
    while (this.#take('|')) alternatives.push(this.#sequence(depth));
    return (next) =>
      this.#add(
        null,
        alternatives.map((alternative) => alternative(next)),
      );
  }

  #sequence(depth: number): Item {
    const items: Item[] = [];
    while (this.#at < this.#pattern.length && !'|)'.includes(this.#peek())) items.push(this.#item(depth));
    return (next) => items.reduceRight((following, item) => item(following), next);
  }

  #item(depth: number): Item {
    if (this.#take('(')) return this.#group(depth + 1);
    const test = this.#character();
    if (this.#take('+')) return (next) => this.#repeat(test, next).character;
    if (this.#take('*')) return (next) => this.#repeat(test, next).branch;
    if (this.#take('?')) return (next) => this.#add(null, [this.#add(test, [next]), next]);
    return (next) => this.#add(test, [next]);
  }

  #group(depth: number): Item {
    if (depth > MAX_GROUP_DEPTH) throw new PatternProblem(`has more than ${MAX_GROUP_DEPTH} groups within groups`);
    if (this.#take('?') && !this.#take(':')) throw new PatternProblem('has a "(?" other than "(?:"');
    const item = this.#alternatives(depth);
    if (!this.#take(')')) throw new PatternProblem('has a "(" without ")"');
    if (this.#at < this.#pattern.length && '+*?{'.includes(this.#peek())) {
      throw new PatternProblem(`repeats a group, at character ${this.#at + 1}`);
    }
    return item;
  }

  #repeat(test: CharacterTest, next: number): { character: number; branch: number } {
    const branch = this.#add(null, [next]);
    const character = this.#add(test, [branch]);
    this.states[branch]?.next.push(character);
    return { character, branch };
  }

  #character(): CharacterTest {
    const character = this.#next();
    if (character === '.') return isAny;
    if (character === '[') return this.#characterClass();
    if (character === '\\') return this.#escaped();
    if ('+*?{}]^$'.includes(character)) throw new PatternProblem(`has ${character} at character ${this.#at}`);
    return this.#isExactly(character);
  }

  #escaped(): CharacterTest {
    const character = this.#next();
    if (character === 'd') return isDigit;
    if (/[A-Za-z0-9]/.test(character)) throw new PatternProblem(`has the unsupported escape \\${character}`);
    return this.#isExactly(character);
  }

  /** One test for each character, however often it stands in the pattern: dictionaries can be large. */
  #isExactly(character: string): CharacterTest {
    const expected = character.charCodeAt(0);
    const test = this.#tests.get(character) ?? ((unit) => unit === expected);
    this.#tests.set(character, test);
    return test;
  }

  /** Letters, digits, `_` and `-`, alone or in ranges. */
  #characterClass(): CharacterTest {
    const ranges: [number, number][] = [];
    while (!this.#take(']')) {
      const first = this.#classMember();
      const isRange = this.#peek() === '-' && this.#pattern[this.#at + 1] !== ']';
      if (isRange) this.#at++;
      const last = isRange ? this.#classMember() : first;
      if (last < first) throw new PatternProblem('has a range that runs backwards');
      ranges.push([first, last]);
    }
    if (ranges.length === 0) throw new PatternProblem('has an empty class');
    return (unit) => ranges.some(([first, last]) => unit >= first && unit <= last);
  }

  #classMember(): number {
    const member = this.#next();
    if (!/[A-Za-z0-9_-]/.test(member)) throw new PatternProblem(`has ${member} in a class`);
    return member.charCodeAt(0);
  }

  #add(test: CharacterTest | null, next: number[]): number {
    return this.states.push({ test, next }) - 1;
  }

  #peek(): string {
    return this.#pattern[this.#at] ?? '';
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const character = this.#peek();
    if (character === '') throw new PatternProblem('ends too early');
    this.#at++;
    return character;
  }
}

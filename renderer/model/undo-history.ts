/** Values that were there before and after the present one. */
export interface History<Value> {
  past: readonly Value[];
  present: Value;
  future: readonly Value[];
  /** What the last change was a part of: changes of one kind, right after each other, are one step back. */
  kind: string | null;
}

const MAX_STEPS = 500;

export function startHistory<Value>(present: Value): History<Value> {
  return { past: [], present, future: [], kind: null };
}

/** @param kind such as `typing`; null: a step of its own */
export function change<Value>(history: History<Value>, present: Value, kind: string | null = null): History<Value> {
  if (present === history.present) return history;
  const joins = kind !== null && kind === history.kind;
  const past = joins ? history.past : [...history.past, history.present].slice(-MAX_STEPS);
  return { past, present, future: [], kind };
}

export function undo<Value>(history: History<Value>): History<Value> {
  const present = history.past.at(-1);
  if (present === undefined) return history;
  return { past: history.past.slice(0, -1), present, future: [history.present, ...history.future], kind: null };
}

export function redo<Value>(history: History<Value>): History<Value> {
  const [present, ...future] = history.future;
  if (present === undefined) return history;
  return { past: [...history.past, history.present], present, future, kind: null };
}

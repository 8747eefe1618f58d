import { describe, expect, it } from 'vitest';
import { change, redo, startHistory, undo } from '../../../renderer/model/undo-history.ts';

describe('history', () => {
  it('goes back and forth', () => {
    const history = change(change(startHistory('a'), 'b'), 'c');
    expect(undo(history).present).toBe('b');
    expect(undo(undo(undo(history))).present).toBe('a');
    expect(redo(undo(history)).present).toBe('c');
    expect(redo(history)).toBe(history);
  });

  it('takes changes of one kind in a row for one step', () => {
    const typed = change(change(change(startHistory(''), 'a', 'typing'), 'ab', 'typing'), 'abc', 'typing');
    expect(undo(typed).present).toBe('');
    expect(undo(change(typed, 'x')).present).toBe('abc');
  });

  it('forgets what was undone once something else is changed, and no change is no step', () => {
    const history = change(undo(change(startHistory(1), 2)), 3);
    expect(history.future).toEqual([]);
    expect(change(history, 3)).toBe(history);
  });
});

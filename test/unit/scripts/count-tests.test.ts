import { expect, test } from 'vitest';
import { countCargoTests, countVitestTests, formatCounts, sumCounts } from '../../../scripts/count-tests.mjs';

test('adds up the result lines of every Rust test program', () => {
  const output = [
    'running 3 tests',
    'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s',
    'test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s',
  ].join('\n');
  expect(countCargoTests(output, 101)).toEqual({ passed: 7, failed: 2, skipped: 1 });
});

test('counts Rust that does not compile as one failure', () => {
  expect(countCargoTests('', 101)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('counts a test file that breaks before its first test as one failure', () => {
  const report = {
    numPassedTests: 5,
    numFailedTests: 1,
    numPendingTests: 2,
    numTodoTests: 1,
    testResults: [
      { status: 'failed', assertionResults: [] },
      { status: 'failed', assertionResults: [{ status: 'failed' }] },
      { status: 'passed', assertionResults: [{ status: 'passed' }] },
    ],
  };
  expect(countVitestTests(report, 1)).toEqual({ passed: 5, failed: 2, skipped: 3 });
});

test('counts a vitest that wrote no report as one failure', () => {
  expect(countVitestTests(null, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('writes the closing line, naming skipped tests only if there are any', () => {
  const total = sumCounts([
    { passed: 2, failed: 0, skipped: 0 },
    { passed: 3, failed: 1, skipped: 0 },
  ]);
  expect(formatCounts(total)).toBe('5 passed, 1 failed');
  expect(formatCounts({ ...total, skipped: 4 })).toBe('5 passed, 1 failed, 4 skipped');
});

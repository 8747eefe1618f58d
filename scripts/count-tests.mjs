/** Reads how many tests passed, failed and were skipped from what the runners leave behind. */

/** Sums several counts. */
export function sumCounts(counts) {
  return counts.reduce(
    (sum, { passed, failed, skipped }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
      skipped: sum.skipped + skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

/** A runner that failed without a failed test (it did not compile, it crashed) still counts as one failure. */
function withFailure(count, exitCode) {
  return exitCode !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
}

/** From cargo's `test result:` lines, one for each test program. */
export function countCargoTests(output, exitCode) {
  const lines = output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;/gm);
  const counts = [...lines].map(([, passed, failed, skipped]) => ({
    passed: Number(passed),
    failed: Number(failed),
    skipped: Number(skipped),
  }));
  return withFailure(sumCounts(counts), exitCode);
}

/** From vitest's JSON report (null if it wrote none); a file that fails before its first test counts as one failure. */
export function countVitestTests(report, exitCode) {
  if (report === null) return withFailure({ passed: 0, failed: 0, skipped: 0 }, exitCode);
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const count = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
  return withFailure(count, exitCode);
}

/** `12 passed, 0 failed`, and `, 3 skipped` if there are any. */
export function formatCounts({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

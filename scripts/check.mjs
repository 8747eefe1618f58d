/** `npm run check`: format, lint, types, import directions, dead exports, Rust format and clippy, unit tests. */
import { isProgram, runProgram, Stop } from './run-command.mjs';
import { CHECK_STEPS, runSteps, UNIT_TEST_STEP } from './run-steps.mjs';
import { setup } from './setup.mjs';

async function check() {
  await setup();
  const steps = [...CHECK_STEPS, UNIT_TEST_STEP];
  const failed = await runSteps(steps);
  if (failed.length > 0) throw new Stop(`check: ${failed.length} of ${steps.length} failed: ${failed.join(', ')}`);
  console.log(`check: all ${steps.length} passed`);
}

if (isProgram(import.meta.url)) await runProgram(check);

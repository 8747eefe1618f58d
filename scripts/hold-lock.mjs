/** A lock between processes, also of different containers that share a folder: no process numbers, a heartbeat. */
import { closeSync, existsSync, openSync, rmSync, statSync, utimesSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const HEARTBEAT_MS = 1000;

/** A holder that has not shown itself for this long was killed: its event loop is idle while it waits for cargo. */
const STALE_MS = 10_000;

const RETRY_MS = 200;

/** Makes the file unless it is there. */
function tryLock(path) {
  try {
    closeSync(openSync(path, 'wx'));
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function isStale(path) {
  const state = statSync(path, { throwIfNoEntry: false });
  return state !== undefined && Date.now() - state.mtimeMs > STALE_MS;
}

/** Waits for the lock file `path`, runs, and frees it; `onWait` is called once if another holds it. */
export async function holdLock(path, onWait, run) {
  let isWaiting = false;
  while (!tryLock(path)) {
    if (isStale(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!isWaiting) onWait();
    isWaiting = true;
    await sleep(RETRY_MS);
  }
  const heartbeat = setInterval(() => {
    // Gone only if somebody cleared the folder by hand.
    if (existsSync(path)) utimesSync(path, new Date(), new Date());
  }, HEARTBEAT_MS);
  try {
    return await run();
  } finally {
    clearInterval(heartbeat);
    rmSync(path, { force: true });
  }
}

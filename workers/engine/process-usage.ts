/** What this process has used so far, as the operating system counts it. */
import { readFile } from 'node:fs/promises';

export interface UsageSince {
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
}

/** Starts a clock; the function it returns tells what was used since. The peak is that of the whole process. */
export function startUsage(): () => Promise<UsageSince> {
  const startedAt = process.hrtime.bigint();
  const cpuAtStart = process.cpuUsage();
  return async () => {
    const { user, system } = process.cpuUsage(cpuAtStart);
    return {
      seconds: Number(process.hrtime.bigint() - startedAt) / 1e9,
      cpuSeconds: (user + system) / 1e6,
      peakRssBytes: await peakRssBytes(),
    };
  };
}

/** Linux keeps the peak of this program alone; `maxRSS` there may be inherited from the one that started it. */
async function peakRssBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(status);
  return 1024 * (peak ? Number(peak[1]) : process.resourceUsage().maxRSS);
}

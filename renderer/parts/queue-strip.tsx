import type { JSX } from 'react';
import { openJobs, shownJob } from '../state/live-jobs.ts';
import { goTo, useWorkbench } from '../state/workbench-store.ts';
import { JobLine } from './job-line.tsx';

/** The job that runs, always there while something does. */
export function QueueStrip(): JSX.Element | null {
  const jobs = useWorkbench((state) => state.jobs);
  const job = shownJob(jobs);
  if (job === null) return null;
  const waiting = openJobs(jobs).length - 1;
  return (
    <footer className="queue-strip" aria-label="Running job">
      <JobLine job={job} />
      {waiting > 0 && (
        <button type="button" className="plain" onClick={() => goTo('Runs')}>
          {waiting} more
        </button>
      )}
    </footer>
  );
}

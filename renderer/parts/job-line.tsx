import type { JSX } from 'react';
import type { QueuedJob } from '../../core/contract/engine-protocol.ts';
import { clock, percent } from '../model/figures.ts';
import { NO_PROGRESS } from '../state/live-jobs.ts';
import { ask, useWorkbench } from '../state/workbench-store.ts';
import { Icon, type IconName } from './icon.tsx';

type JobAction = 'jobs.pause' | 'jobs.resume' | 'jobs.cancel' | 'jobs.remove';

function tell(action: JobAction, job: string): void {
  // What came of it is seen in the list of jobs.
  ask(action, { job }).catch(() => undefined);
}

function JobButton({ action, job, icon, name }: { action: JobAction; job: QueuedJob; icon: IconName; name: string }) {
  return (
    <button
      type="button"
      className="plain"
      onClick={() => tell(action, job.id)}
      aria-label={`${name} ${job.label}`}
      title={name}
    >
      <Icon name={icon} />
    </button>
  );
}

/** One job in one line of fixed columns: nothing moves while its figures do. */
export function JobLine({ job }: { job: QueuedJob }): JSX.Element {
  const progress = useWorkbench((state) => state.progress[job.id]) ?? NO_PROGRESS;
  const { stage, detail, fraction, rate, etaSeconds } = progress;
  const isRunning = job.status === 'running';
  const isPaused = job.status === 'paused';
  const isOver = !isRunning && !isPaused && job.status !== 'waiting';
  return (
    <div className={`job-line ${job.status}`}>
      <span className="job-label ellipsis" title={job.label}>
        <bdi>{job.label}</bdi>
      </span>
      <span className="job-stage ellipsis quiet">
        {isRunning && stage !== '' ? `${stage}${detail === null ? '' : ` ${detail}`}` : job.status}
      </span>
      <progress value={isOver ? 1 : (fraction ?? 0)} max={1} aria-label={`Progress of ${job.label}`} />
      <span className="figure job-percent">{fraction === null ? '' : percent(fraction, 0)}</span>
      <span className="figure job-rate quiet">{isRunning ? rate : ''}</span>
      <span className="figure job-eta">{isRunning && etaSeconds !== null ? `${clock(etaSeconds)} left` : ''}</span>
      <span className="job-actions">
        {(isRunning || job.status === 'waiting') && (
          <JobButton action="jobs.pause" job={job} icon="pause" name="Pause" />
        )}
        {isPaused && <JobButton action="jobs.resume" job={job} icon="play" name="Resume" />}
        {!isOver && <JobButton action="jobs.cancel" job={job} icon="close" name="Cancel" />}
        {isOver && <JobButton action="jobs.remove" job={job} icon="close" name="Remove" />}
      </span>
    </div>
  );
}

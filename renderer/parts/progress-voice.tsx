import { useEffect, useState, type JSX } from 'react';
import { clock } from '../model/figures.ts';
import { NO_PROGRESS, shownJob, spokenProgress } from '../state/live-jobs.ts';
import { useWorkbench } from '../state/workbench-store.ts';

const SPEAK_EVERY_MS = 5000;

/** Says how the running job stands to those who listen, at most every five seconds. */
export function ProgressVoice(): JSX.Element {
  const [text, setText] = useState('');
  useEffect(() => {
    const timer = setInterval(() => {
      const { jobs, progress } = useWorkbench.getState();
      const job = shownJob(jobs);
      if (job === null) {
        setText((before) => (before === '' || before === 'All jobs are over.' ? before : 'All jobs are over.'));
        return;
      }
      const known = progress[job.id] ?? NO_PROGRESS;
      setText(spokenProgress(job, known, known.etaSeconds === null ? null : clock(known.etaSeconds)));
    }, SPEAK_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <div className="visually-hidden" role="status" aria-live="polite">
      {text}
    </div>
  );
}

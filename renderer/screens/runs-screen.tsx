import { useEffect, useState, type JSX } from 'react';
import type { QueuedJob } from '../../core/contract/engine-protocol.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { CompressResult } from '../../core/contract/results.ts';
import type { RunDetails, RunSummary } from '../../core/contract/runs-result.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { formatBytes, formatCount, formatSeconds } from '../../core/units.ts';
import { baseName } from '../model/compare-points.ts';
import { percent, significant } from '../model/figures.ts';
import { recipeOfRun } from '../model/recipe-of-run.ts';
import { writeRecipe } from '../model/write-recipe.ts';
import { replaceRecipe } from '../state/recipe-store.ts';
import { describeFigures } from '../model/run-figures-text.ts';
import { ErrorPanel } from '../parts/error-panel.tsx';
import { Facts } from '../parts/facts.tsx';
import { Icon } from '../parts/icon.tsx';
import { JobLine } from '../parts/job-line.tsx';
import { Workspace, type Inspected } from '../parts/workspace.tsx';
import { isOver, NO_PROGRESS } from '../state/live-jobs.ts';
import { showRun, usePastRuns, useRunsKeptUp } from '../state/past-runs.ts';
import { ask, enqueueAndForget, goTo, useWorkbench, type AskedJob } from '../state/workbench-store.ts';

type Selected = { job: string } | { run: string } | null;

/** What runs, what waits, and what was run before. */
export function RunsScreen(): JSX.Element {
  useRunsKeptUp();
  const jobs = useWorkbench((state) => state.jobs);
  const [selected, setSelected] = useState<Selected>(null);
  const ended = jobs.filter(({ status }) => isOver(status));
  return (
    <Workspace inspected={useInspected(selected, () => setSelected(null))}>
      <section className="panel" aria-label="Queue">
        <div className="row spread">
          <h2 className="minor">Queue</h2>
          {ended.length > 0 && (
            <button type="button" onClick={() => ended.forEach(({ id }) => removeJob(id))}>
              Clear those that ended
            </button>
          )}
        </div>
        {jobs.length === 0 && (
          <p className="quiet">Nothing runs. Recipes and exports that you start line up here, one after the other.</p>
        )}
        <ul className="plain-list">
          {jobs.map((job) => (
            <QueueItem
              key={job.id}
              job={job}
              jobs={jobs}
              isSelected={selected !== null && 'job' in selected && selected.job === job.id}
              onSelect={() => setSelected({ job: job.id })}
            />
          ))}
        </ul>
      </section>
      <PastRunsTable
        selected={selected !== null && 'run' in selected ? selected.run : null}
        onSelect={(run) => setSelected({ run })}
      />
    </Workspace>
  );
}

/** From the list only: what the job has made stays. */
function removeJob(job: string): void {
  ask('jobs.remove', { job }).catch(() => undefined);
}

interface QueueItemProps {
  job: QueuedJob;
  jobs: readonly QueuedJob[];
  isSelected: boolean;
  onSelect: () => void;
}

function QueueItem({ job, jobs, isSelected, onSelect }: QueueItemProps) {
  const waiting = jobs.filter(({ status }) => status === 'waiting');
  const place = waiting.findIndex(({ id }) => id === job.id);
  const move = (before: string | null) => {
    ask('jobs.move', { job: job.id, before }).catch(() => undefined);
  };
  return (
    <li className={isSelected ? 'queue-item selected' : 'queue-item'}>
      <JobLine job={job} />
      <span className="queue-buttons">
        {job.status === 'waiting' && (
          <>
            <button
              type="button"
              className="plain"
              disabled={place <= 0}
              aria-label={`Move ${job.label} up`}
              onClick={() => move(waiting[place - 1]?.id ?? null)}
            >
              <Icon name="up" />
            </button>
            <button
              type="button"
              className="plain"
              disabled={place === waiting.length - 1}
              aria-label={`Move ${job.label} down`}
              onClick={() => move(waiting[place + 2]?.id ?? null)}
            >
              <Icon name="down" />
            </button>
          </>
        )}
        <button type="button" className="plain" onClick={onSelect} aria-label={`Details of ${job.label}`}>
          Details
        </button>
      </span>
      {job.error !== null && job.status === 'failed' && <p className="bad small queue-fault">{job.error.what}</p>}
    </li>
  );
}

const SHOWN_AT_FIRST = 50;

function PastRunsTable({ selected, onSelect }: { selected: string | null; onSelect: (run: string) => void }) {
  const { runs, unreadable, more, error } = usePastRuns();
  const [shown, setShown] = useState(SHOWN_AT_FIRST);
  return (
    <section className="panel" aria-label="Past runs">
      <h2 className="minor">Past runs</h2>
      {error !== null && <ErrorPanel error={error} />}
      {runs === null && error === null && <p className="quiet">Reading the journals…</p>}
      {runs?.length === 0 && <p className="quiet">No run yet. Every run leaves a journal, also one that was killed.</p>}
      {runs !== null && runs.length > 0 && (
        <div className="table-scroll">
          <table className="past-runs" aria-label="Past runs">
            <thead>
              <tr>
                <th scope="col">Started</th>
                <th scope="col">What</th>
                <th scope="col">Output</th>
                <th scope="col">State</th>
                <th scope="col" className="figure">
                  Took
                </th>
                <th scope="col">Came to</th>
                <th scope="col">
                  <span className="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {runs.slice(0, shown).map((run) => (
                <RunRow key={run.runId} run={run} isSelected={run.runId === selected} onSelect={onSelect} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {runs !== null && runs.length > shown && (
        <button type="button" onClick={() => setShown(shown + 200)}>
          Show more ({formatCount(runs.length - shown + more)})
        </button>
      )}
      {unreadable.map(({ runId, what }) => (
        <p key={runId} className="warn">
          {runId}: {what}
        </p>
      ))}
    </section>
  );
}

const STATE_CLASSES = { running: '', done: 'good', failed: 'bad', interrupted: 'warn' } as const;

interface RunRowProps {
  run: RunSummary;
  isSelected: boolean;
  onSelect: (run: string) => void;
}

function RunRow({ run, isSelected, onSelect }: RunRowProps) {
  const { runId, command, model, output, state, resumable, startedAt, seconds, figures, error } = run;
  return (
    <tr aria-selected={isSelected} onClick={() => onSelect(runId)}>
      <td className="nowrap" title={new Date(startedAt).toLocaleString()}>
        {new Date(startedAt).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' })}
      </td>
      <td className="ellipsis run-name">
        <bdi title={model}>
          {command} {baseName(model)}
        </bdi>
      </td>
      <td className="ellipsis run-name">{output !== null && <bdi title={output}>{baseName(output)}</bdi>}</td>
      <td className={STATE_CLASSES[state]}>{state}</td>
      <td className="figure nowrap">{seconds === null ? '' : formatSeconds(seconds)}</td>
      <td className="ellipsis come-to" title={error?.what}>
        {error === null ? describeFigures(figures) : error.what}
      </td>
      <td>
        <span className="row tight">
          {resumable && <ResumeButton run={run} />}
          <button
            type="button"
            className="plain"
            onClick={() => onSelect(runId)}
            aria-label={`Details of ${command} ${output === null ? baseName(model) : baseName(output)}`}
          >
            Details
          </button>
        </span>
      </td>
    </tr>
  );
}

function ResumeButton({ run: { runId, command, model, output } }: { run: RunSummary }) {
  const name = baseName(output ?? model);
  return (
    <button
      type="button"
      onClick={(event) => {
        event.stopPropagation();
        enqueueAndForget('resume', { run: runId, queue: { label: `resume ${command} ${name}` } });
      }}
    >
      Resume
    </button>
  );
}

/** The same once more into the same place, which it replaces only once the new output is verified. */
function runAgain({ model, output, options }: RunDetails, recipe: Recipe): void {
  if (output === null) return;
  const folder = options?.['recipeFolder'];
  enqueueAndForget('compress', {
    model,
    output,
    recipe,
    recipeFolder: typeof folder === 'string' ? folder : '/',
    resume: false,
    force: true,
    queue: { label: `${recipe.name ?? baseName(output)} · ${baseName(model)}` },
  });
}

/** What the inspector says of the selected job or run. */
function useInspected(selected: Selected, onClose: () => void): Inspected | null {
  const jobs = useWorkbench((state) => state.jobs);
  if (selected === null) return null;
  if ('run' in selected) return { title: 'Run', onClose, content: <RunFacts key={selected.run} id={selected.run} /> };
  const job = jobs.find(({ id }) => id === selected.job);
  if (!job) return null;
  return { title: job.label, onClose, content: <JobFacts job={job} /> };
}

function JobFacts({ job }: { job: QueuedJob }) {
  const asked = useWorkbench((state) => state.asked[job.id]);
  const { warnings, stage } = useWorkbench((state) => state.progress[job.id]) ?? NO_PROGRESS;
  const params = asked?.params;
  const result = compressResultOf(asked);
  return (
    <>
      <Facts
        facts={[
          ['status', job.status],
          stage === '' ? null : ['stage', stage],
          params !== undefined && 'model' in params ? ['model', params.model] : null,
          params !== undefined && 'output' in params ? ['output', params.output] : null,
        ]}
      />
      {job.error !== null && (
        <ErrorPanel error={job.error}>
          {asked !== undefined && isOver(job.status) && (
            <button type="button" onClick={() => enqueueAndForget(asked.method, asked.params)}>
              <Icon name="retry" /> Retry
            </button>
          )}
        </ErrorPanel>
      )}
      {result !== null && <CompressFacts result={result} />}
      {warnings.map((warning) => (
        <p key={warning} className="warn">
          {warning}
        </p>
      ))}
      {job.status === 'cancelled' && <p className="quiet">What had been finished is kept; Resume goes on with it.</p>}
    </>
  );
}

/** What a compression came to; null of other jobs, and before its end. */
function compressResultOf(asked: AskedJob | undefined): CompressResult | null {
  if (asked?.method !== 'compress') return null;
  return asked.result as CompressResult | null;
}

function CompressFacts({ result }: { result: CompressResult }) {
  const { storedBytes, bitsPerWeight, metrics = [], notes, error, overlap } = result;
  return (
    <>
      <Facts
        facts={[
          ['stored', formatBytes(storedBytes), `${formatCount(storedBytes)} bytes`],
          ['bits a weight', significant(bitsPerWeight), String(bitsPerWeight)],
          ...metrics.flatMap(({ text, klDivergence, perplexity, top1Agreement }) => {
            const spread =
              klDivergence.standardError === null ? '' : ` ± ${significant(klDivergence.standardError, 2)}`;
            return [
              ['measured on', baseName(text), text] as const,
              ['mean KL, nats', `${significant(klDivergence.mean)}${spread}`, String(klDivergence.mean)] as const,
              ['KL of the worst 1 %', significant(klDivergence.p99), String(klDivergence.p99)] as const,
              ['perplexity', significant(perplexity, 5), String(perplexity)] as const,
              ['same top token', percent(top1Agreement, 2), String(top1Agreement)] as const,
            ];
          }),
        ]}
      />
      {error !== undefined && <ErrorPanel error={error} />}
      {overlap === true && <p className="warn">A text that was measured shares paragraphs with the calibration.</p>}
      {notes.map((note) => (
        <p key={note} className="quiet small">
          {note}
        </p>
      ))}
    </>
  );
}

function RunFacts({ id }: { id: string }) {
  const [run, setRun] = useState<RunDetails | null>(null);
  const [error, setError] = useState<SerializedError | null>(null);
  const ended = useWorkbench((state) => state.ended);
  useEffect(() => {
    showRun(id).then(setRun, (thrown: unknown) => setError(serializeError(thrown)));
  }, [id, ended]);
  if (error !== null) return <ErrorPanel error={error} />;
  if (run === null) return <p className="quiet">Reading the journal…</p>;
  const { figures, items, itemsDone } = run;
  const recipe = recipeOfRun(run.options?.['recipe']);
  const size = (bytes: number | undefined, name: string) =>
    bytes === undefined ? null : ([name, formatBytes(bytes), `${formatCount(bytes)} bytes`] as const);
  return (
    <>
      <Facts
        facts={[
          ['command', run.command],
          ['state', run.state],
          ['model', run.model],
          run.output === null ? null : ['output', run.output],
          ['started', new Date(run.startedAt).toLocaleString()],
          run.seconds === null ? null : ['took', formatSeconds(run.seconds)],
          items === null ? null : ['items done', `${formatCount(itemsDone)} of ${formatCount(items)}`],
          run.threads === null ? null : ['threads', String(run.threads)],
          ['version', run.version],
        ]}
      />
      {figures !== null && (
        <Facts
          facts={[
            size(figures.storedBytes, 'stored'),
            size(figures.fileBytes, 'files'),
            size(figures.sourceStoredBytes, 'source'),
            figures.bitsPerWeight === undefined
              ? null
              : ['bits a weight', significant(figures.bitsPerWeight), String(figures.bitsPerWeight)],
            size(figures.peakRssBytes, 'memory, at most'),
            ...(figures.texts ?? []).map((text) => {
              const divergence =
                text.klDivergenceMean === undefined ? '' : `, KL ${significant(text.klDivergenceMean)} nats`;
              return [
                baseName(text.text),
                `perplexity ${significant(text.perplexity, 4)}${divergence}`,
                `${text.text}, ${text.predictions} predictions, context ${text.context}`,
              ] as const;
            }),
          ]}
        />
      )}
      {run.error !== null && (
        <ErrorPanel error={{ ...run.error, where: { ...run.error.where } } as SerializedError}>
          {run.resumable && <ResumeButton run={{ ...run, error: null }} />}
        </ErrorPanel>
      )}
      {recipe !== null && run.state !== 'running' && (
        <p className="row">
          <button type="button" onClick={() => runAgain(run, recipe)}>
            <Icon name="retry" /> {run.state === 'failed' ? 'Retry' : 'Run again'}
          </button>
          <button
            type="button"
            onClick={() => {
              replaceRecipe(writeRecipe(recipe));
              goTo('Recipe');
            }}
          >
            Edit its recipe
          </button>
        </p>
      )}
      <details>
        <summary>Where it is kept</summary>
        <p className="mono wrap small">{run.journal}</p>
        <p className="mono wrap small">{run.log}</p>
      </details>
    </>
  );
}

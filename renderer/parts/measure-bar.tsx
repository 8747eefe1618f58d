import { useState, type JSX } from 'react';
import type { RunSummary } from '../../core/contract/runs-result.ts';
import { baseName, type Protocol } from '../model/compare-points.ts';
import { enqueueAndForget, useWorkbench } from '../state/workbench-store.ts';

/** As a sweep measures, where nothing was measured yet. */
const FIRST_CONTEXT = 256;
const FIRST_TOKENS = 16_384;

interface MeasureBarProps {
  /** Finished, and not on the chart. */
  runs: readonly (RunSummary & { output: string })[];
  model: string;
  /** As those on the chart were measured; null: none is there. */
  protocol: Protocol | null;
}

/** Runs that only have to be measured to stand on the chart, and the button that does it. */
export function MeasureBar({ runs, model, protocol }: MeasureBarProps): JSX.Element | null {
  const sampleText = useWorkbench((state) => state.sample?.evaluationText ?? null);
  const [asked, setAsked] = useState<readonly string[]>([]);
  const text = protocol?.text ?? sampleText;
  const open = runs.filter(({ runId }) => !asked.includes(runId));
  if (open.length === 0 || text === null) return null;
  function measure(evaluated: string) {
    setAsked([...asked, ...open.map(({ runId }) => runId)]);
    for (const { output } of open) {
      enqueueAndForget('evaluate', {
        model: output,
        reference: model,
        texts: [evaluated],
        choices: null,
        context: protocol?.context ?? FIRST_CONTEXT,
        limitTokens: protocol?.tokens ?? FIRST_TOKENS,
        tokensOut: null,
        noiseFloorSeed: null,
        resume: false,
        force: false,
        queue: { label: `measure ${baseName(output)}` },
      });
    }
  }
  return (
    <div className="row">
      <span className="quiet">
        {open.length === 1 ? 'One finished run was' : `${open.length} finished runs were`} not measured like this:{' '}
        {open.map(({ output }) => baseName(output)).join(', ')}
      </span>
      <button type="button" onClick={() => measure(text)}>
        Measure on {baseName(text)}
      </button>
    </div>
  );
}

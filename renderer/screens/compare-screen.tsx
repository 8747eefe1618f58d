import { useEffect, useMemo, useRef, useState, type JSX } from 'react';
import { formatCount } from '../../core/units.ts';
import { exportChart } from '../charts/export-chart.ts';
import { TradeOffChart } from '../charts/trade-off-chart.tsx';
import { comparedCsv } from '../model/compared-columns.ts';
import { baseName, comparePoints, protocolsOf, unmeasuredRuns } from '../model/compare-points.ts';
import type { ChartAxes } from '../model/chart-axes.ts';
import { ComparedTable } from '../parts/compared-table.tsx';
import { ErrorPanel } from '../parts/error-panel.tsx';
import { MeasureBar } from '../parts/measure-bar.tsx';
import { NoModel } from '../parts/no-model.tsx';
import { PointInspector } from '../parts/point-inspector.tsx';
import { saveFile } from '../parts/save-file.ts';
import { SideBySide } from '../parts/side-by-side.tsx';
import { SweepPanel } from '../parts/sweep-panel.tsx';
import { Workspace } from '../parts/workspace.tsx';
import { readRecipes, usePastRuns, useRunsKeptUp } from '../state/past-runs.ts';
import { useWorkbench } from '../state/workbench-store.ts';

export function CompareScreen(): JSX.Element {
  const model = useWorkbench((state) => state.model?.path ?? null);
  if (model === null) return <NoModel what="compare what was made of it" />;
  return <ComparedModel model={model} />;
}

function ComparedModel({ model }: { model: string }) {
  useRunsKeptUp();
  const { runs, recipes, error } = usePastRuns();
  const [axes, setAxes] = useState<ChartAxes>({ x: 'size', y: 'kl' });
  const [protocolKey, setProtocolKey] = useState<string | null>(null);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [shown, setShown] = useState<string | null>(null);
  const [isSweeping, setSweeping] = useState(false);
  const chart = useRef<SVGSVGElement>(null);
  useEffect(() => void readRecipes(model), [model, runs]);
  const all = useMemo(() => comparePoints(runs ?? [], model, recipes), [runs, model, recipes]);
  const protocols = useMemo(() => protocolsOf(all), [all]);
  const protocol = protocols.find((other) => other.protocol.key === protocolKey) ?? protocols[0];
  const points = useMemo(() => all.filter((point) => point.protocol.key === protocol?.protocol.key), [all, protocol]);
  const unmeasured = useMemo(() => unmeasuredRuns(runs ?? [], model, points), [runs, model, points]);
  const byId = new Map(points.map((point) => [point.runId, point]));
  const pair = chosen.flatMap((id) => byId.get(id) ?? []);
  const inspected = shown === null ? null : (byId.get(shown) ?? null);
  function toggle(id: string) {
    setChosen((before) => (before.includes(id) ? before.filter((other) => other !== id) : [...before, id].slice(-2)));
  }
  return (
    <Workspace
      inspected={
        inspected === null
          ? null
          : {
              title: inspected.label,
              onClose: () => setShown(null),
              content: (
                <PointInspector
                  point={inspected}
                  isChosen={chosen.includes(inspected.runId)}
                  onToggle={() => toggle(inspected.runId)}
                />
              ),
            }
      }
    >
      {error !== null && <ErrorPanel error={error} />}
      <div className="row spread">
        <div className="row">
          <AxisToggle
            name="Across"
            choices={[
              ['size', 'stored size'],
              ['bits', 'bits a weight'],
            ]}
            value={axes.x}
            onChange={(x) => setAxes({ ...axes, x })}
          />
          <AxisToggle
            name="Up"
            choices={[
              ['kl', 'KL divergence'],
              ['perplexity', 'perplexity'],
            ]}
            value={axes.y}
            onChange={(y) => setAxes({ ...axes, y })}
          />
          {protocols.length > 0 && (
            <label className="row tight">
              <span className="quiet">Measured on</span>
              <select value={protocol?.protocol.key ?? ''} onChange={({ target }) => setProtocolKey(target.value)}>
                {protocols.map(({ protocol: { key, text, context, predictions }, count }) => (
                  <option key={key} value={key}>
                    {baseName(text)}, context {context}, {formatCount(predictions)} predictions ({count})
                  </option>
                ))}
              </select>
            </label>
          )}
        </div>
        <button type="button" className="primary" aria-expanded={isSweeping} onClick={() => setSweeping(!isSweeping)}>
          Sweep…
        </button>
      </div>
      {isSweeping && <SweepPanel model={model} onQueued={() => setSweeping(false)} />}
      <MeasureBar runs={unmeasured} model={model} protocol={protocol?.protocol ?? null} />
      {points.length === 0 ? (
        <Empty isReading={runs === null} hasOthers={all.length > 0} onSweep={() => setSweeping(true)} />
      ) : (
        <>
          <TradeOffChart
            ref={chart}
            points={points}
            axes={axes}
            chosen={chosen}
            shown={shown}
            onShow={setShown}
            onToggle={toggle}
          />
          <div className="row">
            <span className="quiet">Save the chart as</span>
            <button type="button" onClick={() => chart.current && void exportChart(chart.current, 'svg')}>
              SVG
            </button>
            <button type="button" onClick={() => chart.current && void exportChart(chart.current, 'png')}>
              PNG
            </button>
            <button
              type="button"
              onClick={() => saveFile('lathe-compare.csv', new Blob([comparedCsv(points)], { type: 'text/csv' }))}
            >
              CSV
            </button>
          </div>
          <SideBySide pair={pair} onClear={() => setChosen([])} />
          <ComparedTable points={points} chosen={chosen} shown={shown} onShow={setShown} onToggle={toggle} />
        </>
      )}
    </Workspace>
  );
}

function Empty({ isReading, hasOthers, onSweep }: { isReading: boolean; hasOthers: boolean; onSweep: () => void }) {
  if (isReading) return <p className="quiet">Reading past runs…</p>;
  return (
    <div className="empty-state">
      <h2>Nothing to compare yet</h2>
      <p className="quiet">
        {hasOthers
          ? 'Choose another text above.'
          : 'Runs stand here once they are done and were measured: their recipes name a text under “Measure on”. A sweep runs a whole ladder of presets and measures each.'}
      </p>
      <button type="button" className="primary" onClick={onSweep}>
        Sweep a ladder of presets
      </button>
    </div>
  );
}

interface AxisToggleProps<Value extends string> {
  name: string;
  choices: readonly (readonly [Value, string])[];
  value: Value;
  onChange: (value: Value) => void;
}

function AxisToggle<Value extends string>({ name, choices, value, onChange }: AxisToggleProps<Value>) {
  return (
    <div className="segmented" role="group" aria-label={name}>
      {choices.map(([choice, text]) => (
        <button key={choice} type="button" aria-pressed={choice === value} onClick={() => onChange(choice)}>
          {text}
        </button>
      ))}
    </div>
  );
}

import { useDeferredValue, useEffect, useMemo, useRef, useState, type JSX } from 'react';
import type { InspectedTensor, InspectResult } from '../../core/contract/results.ts';
import { formatBytes, formatCount } from '../../core/units.ts';
import { significant } from '../model/figures.ts';
import { losslessSentence } from '../model/lossless-sentence.ts';
import {
  elementsOf,
  entropySteps,
  filterTensors,
  sortTensors,
  totalsByGroup,
  totalsOf,
  type TensorColumn,
  type TensorSort,
} from '../model/tensor-rows.ts';
import { visibleName } from '../model/visible-name.ts';
import { ErrorPanel } from '../parts/error-panel.tsx';
import { Facts } from '../parts/facts.tsx';
import { NoModel } from '../parts/no-model.tsx';
import { TensorTable } from '../parts/tensor-table.tsx';
import { Workspace, type Inspected } from '../parts/workspace.tsx';
import { BytesByGroup, EntropyBars } from '../charts/model-bars.tsx';
import { readWeights, useWorkbench, type OpenModel } from '../state/workbench-store.ts';

export function InspectScreen(): JSX.Element {
  const model = useWorkbench((state) => state.model);
  if (model === null) return <NoModel what="see what is in it" />;
  if (model.inspected === null) {
    return (
      <Workspace>
        <p className="quiet">Reading the headers of {model.path}…</p>
      </Workspace>
    );
  }
  return <InspectedModel model={model} inspected={model.inspected} />;
}

function InspectedModel({ model, inspected }: { model: OpenModel; inspected: InspectResult }) {
  const [filter, setFilter] = useState('');
  const [sort, setSort] = useState<TensorSort>({ column: null, isDescending: false });
  const [selected, setSelected] = useState<InspectedTensor | null>(null);
  const search = useRef<HTMLInputElement>(null);
  // Typing stays quick while ten thousand rows are looked through.
  const wanted = useDeferredValue(filter);
  const { tensors } = inspected;
  const found = useMemo(() => filterTensors(tensors, wanted), [tensors, wanted]);
  const rows = useMemo(() => sortTensors(found, sort), [found, sort]);
  const totals = useMemo(() => totalsOf(found), [found]);
  const hasStatistics = inspected.losslessEstimate !== undefined;
  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      const isTyping = event.target instanceof HTMLElement && /^(?:INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key !== '/' || isTyping) return;
      event.preventDefault();
      search.current?.focus();
    }
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  function sortBy(column: TensorColumn) {
    setSort((before) => {
      if (before.column !== column) return { column, isDescending: column !== 'name' && column !== 'dtype' };
      return before.isDescending === (column !== 'name' && column !== 'dtype')
        ? { column, isDescending: !before.isDescending }
        : { column: null, isDescending: false };
    });
  }
  return (
    <Workspace inspected={inspectorFor(selected, tensors, () => setSelected(null))}>
      <div className="row spread">
        <p className="lead">{losslessSentence(inspected)}</p>
        <button type="button" disabled={model.isReading} onClick={() => void readWeights()}>
          {model.isReading ? 'Reading the weights…' : hasStatistics ? 'Read the weights again' : 'Read the weights'}
        </button>
      </div>
      {model.error !== null && <ErrorPanel error={model.error} />}
      <div className="strip-charts">
        <BytesByGroup groups={totalsByGroup(tensors)} />
        {hasStatistics && <EntropyBars steps={entropySteps(tensors)} />}
      </div>
      <div className="row">
        <label htmlFor="tensor-filter" className="visually-hidden">
          Filter tensors
        </label>
        <input
          ref={search}
          id="tensor-filter"
          type="search"
          className="grow mono"
          placeholder="Filter by name, type or regular expression  ( / )"
          value={filter}
          spellCheck={false}
          onChange={({ target }) => setFilter(target.value)}
        />
      </div>
      <TensorTable
        tensors={rows}
        sort={sort}
        onSort={sortBy}
        selected={selected}
        onSelect={setSelected}
        hasStatistics={hasStatistics}
        footer={
          <>
            <span>
              {formatCount(totals.count)} of {formatCount(tensors.length)} tensors
            </span>
            <span>{formatCount(totals.elements)} weights</span>
            <span title={`${formatCount(totals.storedBytes)} bytes`}>{formatBytes(totals.storedBytes)}</span>
            <span>{significant(totals.bitsPerWeight)} bits a weight</span>
          </>
        }
      />
      {inspected.notes.length > 0 && (
        <details>
          <summary>Notes ({inspected.notes.length})</summary>
          <ul>
            {inspected.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      )}
    </Workspace>
  );
}

function inspectorFor(
  selected: InspectedTensor | null,
  tensors: readonly InspectedTensor[],
  onClose: () => void,
): Inspected | null {
  // Read anew after the weights were read.
  const tensor = selected && (tensors.find(({ name }) => name === selected.name) ?? null);
  if (tensor === null) return null;
  const number = (value: number | null | undefined, name: string) =>
    typeof value === 'number' ? ([name, significant(value), String(value)] as const) : null;
  return {
    title: visibleName(tensor.name),
    onClose,
    content: (
      <>
        <Facts
          facts={[
            tensor.canonicalName === tensor.name ? null : ['canonical name', visibleName(tensor.canonicalName)],
            ['type', tensor.dtype],
            ['stored as', tensor.method],
            ['shape', tensor.shape.length === 0 ? 'scalar' : tensor.shape.join(' × ')],
            ['weights', formatCount(elementsOf(tensor))],
            ['bytes', formatBytes(tensor.storedBytes), `${formatCount(tensor.storedBytes)} bytes`],
            ['bits a weight', significant(tensor.bitsPerWeight), String(tensor.bitsPerWeight)],
            ['file', tensor.file],
          ]}
        />
        {tensor.rms === undefined ? (
          <p className="quiet">“Read the weights” adds entropy, extremes and zeros.</p>
        ) : (
          <Facts
            facts={[
              number(tensor.exponentEntropyBits, 'exponent entropy, bits'),
              number(tensor.min, 'least'),
              number(tensor.max, 'greatest'),
              number(tensor.rms, 'root mean square'),
              number(tensor.zeroFraction, 'zeros, fraction'),
              number(tensor.nanCount, 'NaN'),
              number(tensor.infiniteCount, 'infinities'),
            ]}
          />
        )}
      </>
    ),
  };
}

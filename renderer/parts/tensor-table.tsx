import { useEffect, useRef, useState, type JSX, type KeyboardEvent, type ReactNode } from 'react';
import type { InspectedTensor } from '../../core/contract/results.ts';
import { formatBytes } from '../../core/units.ts';
import { significant } from '../model/figures.ts';
import type { TensorColumn, TensorSort } from '../model/tensor-rows.ts';
import { visibleName } from '../model/visible-name.ts';
import { scrollToRow, visibleRows } from '../model/visible-rows.ts';
import { useSize } from './use-size.ts';

const ROW_PIXELS = 26;
const HEAD_PIXELS = 30;

interface TensorTableProps {
  tensors: readonly InspectedTensor[];
  sort: TensorSort;
  onSort: (column: TensorColumn) => void;
  selected: InspectedTensor | null;
  onSelect: (tensor: InspectedTensor | null) => void;
  hasStatistics: boolean;
  footer: ReactNode;
}

const HEADS: Readonly<Record<TensorColumn, string>> = {
  name: 'Name',
  dtype: 'Type',
  shape: 'Shape',
  bytes: 'Bytes',
  bits: 'Bits/weight',
  entropy: 'Entropy, bits',
  min: 'Least',
  max: 'Greatest',
  rms: 'RMS',
};
const PLAIN: readonly TensorColumn[] = ['name', 'dtype', 'shape', 'bytes', 'bits'];
const WITH_STATISTICS: readonly TensorColumn[] = [...PLAIN, 'entropy', 'min', 'max', 'rms'];

/** A table of any length of which only the rows in view are mounted; arrows move the selected row. */
export function TensorTable(props: TensorTableProps): JSX.Element {
  const { tensors, sort, onSort, selected, onSelect, hasStatistics, footer } = props;
  const columns = hasStatistics ? WITH_STATISTICS : PLAIN;
  const body = useRef<HTMLDivElement>(null);
  const { height } = useSize(body);
  const [scrollTop, setScrollTop] = useState(0);
  const [active, setActive] = useState(0);
  useEffect(() => {
    setActive(0);
    if (body.current) body.current.scrollTop = 0;
  }, [tensors]);
  const { first, last } = visibleRows(tensors.length, ROW_PIXELS, scrollTop, height);
  function moveTo(row: number) {
    const to = Math.max(0, Math.min(tensors.length - 1, row));
    setActive(to);
    if (body.current) {
      const viewPixels = body.current.clientHeight - HEAD_PIXELS;
      body.current.scrollTop = scrollToRow(to, ROW_PIXELS, body.current.scrollTop, viewPixels);
    }
    if (selected !== null) onSelect(tensors[to] ?? null);
  }
  function onKey(event: KeyboardEvent) {
    // The heads are buttons of their own.
    if (event.target !== event.currentTarget) return;
    const page = Math.max(1, Math.floor(height / ROW_PIXELS) - 1);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: tensors.length - 1,
    };
    const to = steps[event.key];
    if (to !== undefined) moveTo(to);
    else if (event.key === 'Enter' || event.key === ' ') onSelect(tensors[active] ?? null);
    else return;
    event.preventDefault();
  }
  return (
    <div className={hasStatistics ? 'grid-table fills with-statistics' : 'grid-table fills'}>
      <div
        ref={body}
        className="grid-body"
        role="grid"
        aria-label="Tensors"
        aria-rowcount={tensors.length + 1}
        aria-colcount={columns.length}
        tabIndex={0}
        onKeyDown={onKey}
        onScroll={({ currentTarget }) => setScrollTop(currentTarget.scrollTop)}
        aria-activedescendant={tensors.length === 0 ? undefined : `tensor-row-${active}`}
      >
        <div className="grid-row grid-head" role="row" aria-rowindex={1}>
          {columns.map((column) => (
            <div
              key={column}
              role="columnheader"
              className={column === 'name' || column === 'dtype' ? undefined : 'figure'}
              aria-sort={sort.column !== column ? 'none' : sort.isDescending ? 'descending' : 'ascending'}
            >
              <button type="button" className="plain" onClick={() => onSort(column)}>
                {HEADS[column]}
                <span aria-hidden="true">
                  {sort.column !== column ? '' : sort.isDescending ? '\u00a0↓' : '\u00a0↑'}
                </span>
              </button>
            </div>
          ))}
        </div>
        {tensors.length === 0 && <p className="quiet empty">No tensor matches.</p>}
        <div className="grid-space" role="presentation" style={{ height: tensors.length * ROW_PIXELS }}>
          {tensors.slice(first, last).map((tensor, offset) => {
            const row = first + offset;
            return (
              <div
                key={tensor.name}
                id={`tensor-row-${row}`}
                role="row"
                aria-rowindex={row + 2}
                aria-selected={selected?.name === tensor.name}
                className={row === active ? 'grid-row active' : 'grid-row'}
                style={{ transform: `translateY(${row * ROW_PIXELS}px)` }}
                onClick={() => {
                  setActive(row);
                  onSelect(tensor);
                }}
              >
                <TensorCells tensor={tensor} hasStatistics={hasStatistics} />
              </div>
            );
          })}
        </div>
      </div>
      <div className="grid-foot">{footer}</div>
    </div>
  );
}

function TensorCells({ tensor, hasStatistics }: { tensor: InspectedTensor; hasStatistics: boolean }) {
  const { name, dtype, shape, storedBytes, bitsPerWeight, exponentEntropyBits, min, max, rms } = tensor;
  const figures = hasStatistics ? [exponentEntropyBits, min, max, rms] : [];
  return (
    <>
      <span role="gridcell" className="mono ellipsis" title={visibleName(name)}>
        <bdi>{visibleName(name)}</bdi>
      </span>
      <span role="gridcell">{dtype}</span>
      <span role="gridcell" className="figure">
        {shape.length === 0 ? 'scalar' : shape.join(' × ')}
      </span>
      <span role="gridcell" className="figure" title={`${storedBytes} bytes`}>
        {formatBytes(storedBytes)}
      </span>
      <span role="gridcell" className="figure" title={String(bitsPerWeight)}>
        {significant(bitsPerWeight)}
      </span>
      {figures.map((value, index) => (
        <span key={index} role="gridcell" className="figure" title={String(value ?? '')}>
          {typeof value === 'number' ? significant(value) : '–'}
        </span>
      ))}
    </>
  );
}

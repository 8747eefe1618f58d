import { useRef, type JSX, type KeyboardEvent } from 'react';
import { significant } from '../model/figures.ts';
import { shadeOf, shortType, type LayerMap, type MapCell } from '../model/layer-map.ts';

interface LayerMapViewProps {
  map: LayerMap;
  /** The name of the first tensor of the selected cell. */
  selected: string | null;
  onSelect: (name: string | null) => void;
}

/** Blocks by projections; each cell says what it becomes, its shade how many bits that takes. Arrows walk over it. */
export function LayerMapView({ map, selected, onSelect }: LayerMapViewProps): JSX.Element {
  const grid = useRef<HTMLDivElement>(null);
  function onKey(event: KeyboardEvent<HTMLDivElement>) {
    const move = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
    const from = event.target instanceof HTMLElement ? event.target.closest('[data-row]') : null;
    if (move === undefined || !(from instanceof HTMLElement)) return;
    event.preventDefault();
    const row = Number(from.dataset['row']) + (move[0] ?? 0);
    const column = Number(from.dataset['column']) + (move[1] ?? 0);
    const to = grid.current?.querySelector(`[data-row="${row}"][data-column="${column}"]`);
    if (to instanceof HTMLElement) to.focus();
  }
  const firstName = map.blocks[0]?.cells.find((cell) => cell !== null)?.tensors[0]?.name ?? null;
  const cellProps = { selected, onSelect, tabStop: selected ?? firstName };
  return (
    <section className="panel" aria-label="Layer map">
      <div className="row spread">
        <h2 className="minor">What each matrix becomes</h2>
        <span className="row quiet small" aria-hidden="true">
          fewer bits
          {[0, 1, 2, 3, 4].map((shade) => (
            <span key={shade} className={`swatch heat-${shade}`} />
          ))}
          more bits
        </span>
      </div>
      {map.others.length > 0 && (
        <div className="map-others">
          {map.others.map(({ label, cell }) => (
            <div key={label}>
              <span className="quiet small">{label}</span>
              <MapCellButton cell={cell} place={label} {...cellProps} tabStop={null} row={-1} column={0} />
            </div>
          ))}
        </div>
      )}
      <div ref={grid} className="map-scroll" role="grid" aria-label="Blocks by projections" onKeyDown={onKey}>
        <div role="row" className="map-row map-head">
          <span role="columnheader" className="quiet small">
            block
          </span>
          {map.columns.map((column) => (
            <span key={column} role="columnheader" className="quiet small">
              {column.replace(/_proj$/, '')}
            </span>
          ))}
        </div>
        {map.blocks.map(({ label, cells }, row) => (
          <div key={label} role="row" className="map-row">
            <span role="rowheader" className="quiet small figure">
              {label}
            </span>
            {cells.map((cell, column) => {
              const name = map.columns[column] ?? '';
              return (
                <span key={name} role="gridcell">
                  {cell !== null && (
                    <MapCellButton
                      cell={cell}
                      place={`block ${label}, ${name}`}
                      {...cellProps}
                      row={row}
                      column={column}
                    />
                  )}
                </span>
              );
            })}
          </div>
        ))}
      </div>
      {map.vectors > 0 && <p className="quiet small">{map.vectors} vectors are not on the map: they are small.</p>}
    </section>
  );
}

interface MapCellProps {
  cell: MapCell;
  place: string;
  selected: string | null;
  onSelect: (name: string | null) => void;
  /** Null: every such cell is one. */
  tabStop: string | null;
  row: number;
  column: number;
}

function MapCellButton({ cell, place, selected, onSelect, tabStop, row, column }: MapCellProps) {
  const name = cell.tensors[0]?.name ?? '';
  const isSelected = cell.tensors.some((tensor) => tensor.name === selected);
  const shade = shadeOf(cell);
  return (
    <button
      type="button"
      className={`map-cell ${shade === null ? 'unknown' : `heat-${shade}`}`}
      aria-pressed={isSelected}
      tabIndex={tabStop === null || tabStop === name ? 0 : -1}
      data-row={row}
      data-column={column}
      onClick={() => onSelect(isSelected ? null : name)}
    >
      <span className="visually-hidden">{place}: </span>
      <span>{shortType(cell.becomes)}</span>
      {cell.bits !== null && (
        <span className="map-bits">
          {significant(cell.bits, 2)}
          <span className="visually-hidden"> bits</span>
        </span>
      )}
    </button>
  );
}

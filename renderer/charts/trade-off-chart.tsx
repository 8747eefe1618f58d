import { useMemo, useRef, useState, type JSX, type KeyboardEvent, type Ref } from 'react';
import {
  describePoint,
  halfIntervalOf,
  sizeUnit,
  sourceX,
  xOf,
  xTitle,
  yOf,
  yTitle,
  type ChartAxes,
} from '../model/chart-axes.ts';
import type { ComparedPoint } from '../model/compare-points.ts';
import { useSize } from '../parts/use-size.ts';
import { linearTicks, logTicks, makeScale } from './axis-ticks.ts';
import { MARK_PATHS, METHOD_NAMES, type MethodKind } from './method-marks.ts';
import { paretoFront } from './pareto-front.ts';
import { placeLabels, type Box } from './place-labels.ts';

const HEIGHT = 420;
const MARGIN = { top: 16, right: 24, bottom: 48, left: 72 };
/** Below a logarithmic axis, for those that differ in nothing. */
const ZERO_BAND = 34;
/** Of 11 pixel text, near enough to keep labels apart. */
const LETTER_PIXELS = 6.2;

interface TradeOffChartProps {
  ref: Ref<SVGSVGElement>;
  points: readonly ComparedPoint[];
  axes: ChartAxes;
  /** Run ids: of the pair that is put side by side, and of the one in the inspector. */
  chosen: readonly string[];
  shown: string | null;
  onShow: (id: string | null) => void;
  onToggle: (id: string) => void;
}

interface Mark {
  point: ComparedPoint;
  x: number;
  y: number;
  /** In pixels. */
  left: number;
  top: number;
  /** Of the 95 % interval, relative to the point; null where it is not known or too small to be seen. */
  interval: { up: number; down: number } | null;
  isOnFront: boolean;
}

/** Size against damage: lower and further left is better; the stepped line joins what nothing beats. */
export function TradeOffChart(props: TradeOffChartProps): JSX.Element {
  const { ref, points, axes, chosen, shown, onShow, onToggle } = props;
  const frame = useRef<HTMLDivElement>(null);
  const { width } = useSize(frame);
  const [hovered, setHovered] = useState<string | null>(null);
  const layout = useMemo(() => layOut(points, axes, Math.max(320, width)), [points, axes, width]);
  const { marks, front, xTicks, yTicks, plot, sourceLeft, zeroTop } = layout;
  const labels = useMemo(() => labelsOf(layout), [layout]);
  const active = hovered ?? shown;
  function onKey(event: KeyboardEvent<SVGGElement>, index: number) {
    const id = marks[index]?.point.runId;
    if (id === undefined) return;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      const next = marks[index + step]?.point.runId;
      const target = next === undefined ? null : frame.current?.querySelector(`[data-run="${CSS.escape(next)}"]`);
      if (target instanceof SVGElement) target.focus();
    } else if (event.key === 'Enter') onShow(id);
    else if (event.key === ' ') onToggle(id);
    else return;
    event.preventDefault();
  }
  const kinds = [...new Set(marks.map(({ point }) => point.kind))];
  const hoveredMark = marks.find(({ point }) => point.runId === active);
  return (
    <div ref={frame} className="chart-frame panel">
      {width > 0 && (
        <svg
          ref={ref}
          className="chart"
          width={Math.max(320, width)}
          height={HEIGHT}
          viewBox={`0 0 ${Math.max(320, width)} ${HEIGHT}`}
          role="group"
          aria-label={`${points.length} runs: ${xTitle(axes, layout.unit)}; ${yTitle(axes)}. The table below says the same.`}
        >
          <g className="axis">
            {yTicks.map(({ value, at }) => (
              <g key={value}>
                <line className="grid-line" x1={plot.left} x2={plot.right} y1={at} y2={at} />
                <text x={plot.left - 8} y={at} dy="0.35em" textAnchor="end">
                  {String(value)}
                </text>
              </g>
            ))}
            {zeroTop !== null && (
              <g>
                <line className="grid-line zero-line" x1={plot.left} x2={plot.right} y1={zeroTop} y2={zeroTop} />
                <text x={plot.left - 8} y={zeroTop} dy="0.35em" textAnchor="end">
                  0, exact
                </text>
              </g>
            )}
            {xTicks.map(({ value, at }) => (
              <g key={value}>
                <line className="tick" x1={at} x2={at} y1={plot.bottom} y2={plot.bottom + 4} />
                <text x={at} y={plot.bottom + 18} textAnchor="middle">
                  {String(value)}
                </text>
              </g>
            ))}
            <line className="tick" x1={plot.left} x2={plot.right} y1={plot.bottom} y2={plot.bottom} />
            <text className="axis-title" x={(plot.left + plot.right) / 2} y={HEIGHT - 8} textAnchor="middle">
              {xTitle(axes, layout.unit)}
            </text>
            <text
              className="axis-title"
              transform={`translate(14 ${(plot.top + plot.bottom) / 2}) rotate(-90)`}
              textAnchor="middle"
            >
              {yTitle(axes)}
            </text>
          </g>
          <g className="source-line">
            <line x1={sourceLeft} x2={sourceLeft} y1={plot.top} y2={plot.bottom} />
            <text x={sourceLeft - 6} y={plot.top + 8} textAnchor="end">
              source
            </text>
          </g>
          <path className="front-line" d={stepPath(front, plot.right)} />
          <g className="leaders">
            {labels.map(({ mark, label }) =>
              label?.hasLeader === true ? (
                <line
                  key={mark.point.runId}
                  x1={mark.left}
                  y1={mark.top}
                  x2={label.x > mark.left ? label.x - 2 : label.x + label.width + 2}
                  y2={label.y}
                />
              ) : null,
            )}
          </g>
          {marks.map(({ point, left, top, interval, isOnFront }, index) => (
            <g
              key={point.runId}
              className={`mark method-${point.kind}${isOnFront ? '' : ' dominated'}`}
              transform={`translate(${left} ${top})`}
              role="button"
              tabIndex={0}
              data-run={point.runId}
              aria-label={`${describePoint(point)}${isOnFront ? ', on the frontier' : ''}`}
              aria-pressed={chosen.includes(point.runId)}
              onMouseEnter={() => setHovered(point.runId)}
              onMouseLeave={() => setHovered(null)}
              onFocus={() => setHovered(point.runId)}
              onBlur={() => setHovered(null)}
              onClick={(event) => (event.shiftKey ? onToggle(point.runId) : onShow(point.runId))}
              onKeyDown={(event) => onKey(event, index)}
            >
              {interval !== null && (
                <path
                  className="error-bar"
                  d={`M-4 ${interval.up}H4M0 ${interval.up}V${interval.down}M-4 ${interval.down}H4`}
                />
              )}
              <circle className="mark-target" r={13} />
              {chosen.includes(point.runId) && <circle className="mark-chosen" r={11} />}
              {point.isCoded && <circle className="mark-ring" r={9} />}
              <path d={MARK_PATHS[point.kind]} />
            </g>
          ))}
          <g className="labels" aria-hidden="true">
            {labels.map(({ mark, label }) =>
              label === null ? null : (
                <text
                  key={mark.point.runId}
                  x={label.x}
                  y={label.y}
                  dy="0.35em"
                  className={mark.isOnFront || mark.point.runId === active ? undefined : 'dominated'}
                >
                  {mark.point.label}
                </text>
              ),
            )}
          </g>
        </svg>
      )}
      <p className="chart-legend small quiet">
        {kinds.map((kind) => (
          <LegendMark key={kind} kind={kind} />
        ))}
        <span className="hover-text">
          {hoveredMark === undefined
            ? 'Click or Enter: details. Shift-click or Space: put two side by side.'
            : describePoint(hoveredMark.point)}
        </span>
      </p>
    </div>
  );
}

function LegendMark({ kind }: { kind: MethodKind }) {
  return (
    <span className="row tight">
      <svg width="14" height="14" viewBox="-7 -7 14 14" className={`mark method-${kind}`} aria-hidden="true">
        <path d={MARK_PATHS[kind]} />
      </svg>
      {METHOD_NAMES[kind]}
    </span>
  );
}

function layOut(points: readonly ComparedPoint[], axes: ChartAxes, width: number) {
  const unit = sizeUnit(points);
  const isLog = axes.y === 'kl';
  const costs = points.map((point) => ({ point, x: xOf(point, axes, unit), y: yOf(point, axes) }));
  const hasZeros = isLog && costs.some(({ y }) => y <= 0);
  const plot = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: HEIGHT - MARGIN.bottom,
  };
  const first = points[0];
  const source = first === undefined ? 0 : sourceX(first, axes, unit);
  const xHigh = Math.max(source, ...costs.map(({ x }) => x)) * 1.06;
  const xLow = Math.max(0, Math.min(...costs.map(({ x }) => x)) * 0.8);
  const xScale = makeScale([xLow, xHigh], [plot.left, plot.right], 'linear');
  const ys = costs.map(({ y }) => y).filter((y) => !isLog || y > 0);
  const low = ys.length === 0 ? 1e-3 : Math.min(...ys);
  const high = ys.length === 0 ? 1 : Math.max(...ys);
  const pad = Math.max(high - low, high * 0.01) * 0.15;
  const yRange: readonly [number, number] = isLog ? [low / 1.8, high * 1.8] : [low - pad, high + pad];
  const floor = plot.bottom - (hasZeros ? ZERO_BAND : 0);
  const yScale = makeScale(yRange, [floor, plot.top], isLog ? 'log' : 'linear');
  const zeroTop = hasZeros ? plot.bottom - 12 : null;
  const onFront = new Set(paretoFront(costs).map(({ point }) => point.runId));
  const intervalOf = (point: ComparedPoint, y: number): Mark['interval'] => {
    const half = halfIntervalOf(point, axes);
    if (half === null || y <= 0) return null;
    const up = yScale(y + half) - yScale(y);
    const down = Math.min(floor, yScale(Math.max(y - half, isLog ? yRange[0] : -Infinity))) - yScale(y);
    return down - up < 2 ? null : { up, down };
  };
  const marks: Mark[] = costs
    .map(({ point, x, y }) => ({
      point,
      x,
      y,
      left: xScale(x),
      top: isLog && y <= 0 ? (zeroTop ?? floor) : yScale(y),
      interval: intervalOf(point, y),
      isOnFront: onFront.has(point.runId),
    }))
    .sort((a, b) => a.left - b.left || a.top - b.top);
  const ticksOfY = isLog ? logTicks(...yRange) : linearTicks(...yRange, 6);
  return {
    unit,
    plot,
    marks,
    front: marks.filter(({ isOnFront }) => isOnFront),
    sourceLeft: xScale(source),
    zeroTop,
    xTicks: linearTicks(xLow, xHigh, 7).map((value) => ({ value, at: xScale(value) })),
    yTicks: ticksOfY.map((value) => ({ value, at: yScale(value) })),
  };
}

function labelsOf({ marks, front, plot }: ReturnType<typeof layOut>) {
  // Those on the frontier get the better places.
  const order = [...marks].sort((a, b) => Number(b.isOnFront) - Number(a.isOnFront));
  const widths = order.map(({ point }) => point.label.length * LETTER_PIXELS + 4);
  const placed = placeLabels(
    order.map(({ left, top }, index) => ({ x: left, y: top, width: widths[index] ?? 0 })),
    plot,
    linePieces(front, plot.right),
  );
  return order.map((mark, index) => {
    const label = placed[index] ?? null;
    return { mark, label: label && { ...label, width: widths[index] ?? 0 } };
  });
}

/** The stepped line as thin boxes, so that labels keep off it. */
function linePieces(front: readonly Mark[], right: number): Box[] {
  return front.flatMap(({ left, top }, index) => {
    const next = front[index + 1];
    const end = next?.left ?? right;
    const across = { left, right: end, top: top - 1, bottom: top + 1 };
    return next ? [across, { left: end - 1, right: end + 1, top, bottom: next.top }] : [across];
  });
}

/** From the upper left to the lower right: each step holds until a larger file does better. */
function stepPath(front: readonly Mark[], right: number): string {
  const [first, ...rest] = front;
  if (!first) return '';
  const steps = rest.map(({ left, top }) => `H${left.toFixed(1)}V${top.toFixed(1)}`).join('');
  return `M${first.left.toFixed(1)} ${first.top.toFixed(1)}${steps}H${right}`;
}

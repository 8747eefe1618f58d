import { useState, type JSX } from 'react';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { formatBytes, formatCount, formatSeconds } from '../../core/units.ts';
import { METHOD_NAMES } from '../charts/method-marks.ts';
import { baseName, type ComparedPoint } from '../model/compare-points.ts';
import { percent, significant } from '../model/figures.ts';
import { openModel } from '../state/workbench-store.ts';
import { ErrorPanel } from './error-panel.tsx';
import { Facts } from './facts.tsx';

interface PointInspectorProps {
  point: ComparedPoint;
  isChosen: boolean;
  onToggle: () => void;
}

export function PointInspector({ point, isChosen, onToggle }: PointInspectorProps): JSX.Element {
  const [error, setError] = useState<SerializedError | null>(null);
  const { referencePerplexity, top1Agreement, protocol } = point;
  return (
    <>
      <Facts
        facts={[
          ['method', METHOD_NAMES[point.kind]],
          ['stored', formatBytes(point.storedBytes), `${formatCount(point.storedBytes)} bytes`],
          point.fileBytes === null
            ? null
            : ['all files', formatBytes(point.fileBytes), `${formatCount(point.fileBytes)} bytes`],
          ['of the source', percent(point.storedBytes / point.sourceBytes)],
          ['bits a weight', significant(point.bitsPerWeight), String(point.bitsPerWeight)],
          ['mean KL, nats', significant(point.klDivergence), String(point.klDivergence)],
          ['perplexity', significant(point.perplexity, 5), String(point.perplexity)],
          referencePerplexity === null
            ? null
            : ['of the source', significant(referencePerplexity, 5), String(referencePerplexity)],
          top1Agreement === null ? null : ['same top token', percent(top1Agreement, 2)],
          point.seconds === null ? null : ['took', formatSeconds(point.seconds)],
          ['measured on', baseName(protocol.text), protocol.text],
          ['context', `${protocol.context} tokens`],
          ['predictions', formatCount(protocol.predictions)],
          ['output', point.output],
        ]}
      />
      <p className="row">
        <button type="button" aria-pressed={isChosen} onClick={onToggle}>
          Side by side
        </button>
        <button
          type="button"
          onClick={() => {
            openModel(point.output).catch((thrown: unknown) => setError(serializeError(thrown)));
          }}
        >
          Open this model
        </button>
      </p>
      {error !== null && <ErrorPanel error={error} />}
    </>
  );
}

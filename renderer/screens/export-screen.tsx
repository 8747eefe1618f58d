import { useEffect, useState, type JSX } from 'react';
import type { ExportResult } from '../../core/contract/export-result.ts';
import { GGUF_MIXES, type GgufMix } from '../../core/contract/gguf-mixes.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { formatBytes, formatCount, formatSeconds } from '../../core/units.ts';
import { baseName } from '../model/compare-points.ts';
import { significant } from '../model/figures.ts';
import { exportPath, outputFolder } from '../model/run-plan.ts';
import { ErrorPanel } from '../parts/error-panel.tsx';
import { Facts } from '../parts/facts.tsx';
import { Icon } from '../parts/icon.tsx';
import { NoModel } from '../parts/no-model.tsx';
import { PathField } from '../parts/path-field.tsx';
import { Workspace } from '../parts/workspace.tsx';
import { ask, enqueue, useWorkbench } from '../state/workbench-store.ts';

export function ExportScreen(): JSX.Element {
  const model = useWorkbench((state) => state.model?.path ?? null);
  if (model === null) return <NoModel what="write it as a file for another program" />;
  return <ExportForm model={model} />;
}

function ExportForm({ model }: { model: string }) {
  const sampleText = useWorkbench((state) => state.sample?.calibrationText ?? null);
  const exported = useWorkbench((state) => state.asked);
  const [type, setType] = useState<GgufMix>('Q4_K_M');
  const [method, setMethod] = useState<'rtn' | 'gptq'>('rtn');
  const [text, setText] = useState('');
  const [folder, setFolder] = useState('');
  const [typed, setTyped] = useState<string | null>(null);
  const [hasTokenizer, setTokenizer] = useState(true);
  const [isForced, setForced] = useState(false);
  const [isRunning, setRunning] = useState(false);
  const [error, setError] = useState<SerializedError | null>(null);
  useEffect(() => {
    ask('files.list', { path: null }).then(
      ({ path }) => setFolder(outputFolder(path, model)),
      () => undefined,
    );
  }, [model]);
  const output = typed ?? (folder === '' ? '' : exportPath(folder, model, type));
  async function run() {
    setError(null);
    setRunning(true);
    try {
      await enqueue('export', {
        model,
        output,
        type,
        calibration: text === '' ? null : { texts: [text], sequences: 64, sequenceLength: 256, seed: 0 },
        imatrix: null,
        method,
        hasTokenizer,
        force: isForced,
        queue: { label: `export ${type} · ${baseName(model)}` },
      });
    } catch (thrown) {
      setError(serializeError(thrown));
    } finally {
      setRunning(false);
    }
  }
  const needsText = method === 'gptq' && text === '';
  const results = Object.values(exported).flatMap((job) =>
    job.method === 'export' && job.result !== null ? [job.result as ExportResult] : [],
  );
  return (
    <Workspace>
      <section className="panel form" aria-label="Export">
        <h2 className="minor">Export as GGUF</h2>
        <div className="row fields">
          <div className="field">
            <label htmlFor="export-type">Type</label>
            <select id="export-type" value={type} onChange={({ target }) => setType(target.value as GgufMix)}>
              {GGUF_MIXES.map((mix) => (
                <option key={mix}>{mix}</option>
              ))}
            </select>
          </div>
          <div className="field">
            <label htmlFor="export-method">Method</label>
            <select
              id="export-method"
              value={method}
              onChange={({ target }) => setMethod(target.value as 'rtn' | 'gptq')}
            >
              <option value="rtn">rounding to nearest</option>
              <option value="gptq">GPTQ, needs a calibration text</option>
            </select>
          </div>
        </div>
        <PathField
          label="Calibration text (empty: none)"
          value={text}
          onChange={setText}
          wants="file"
          hint="With a text, columns are weighted by what the model's maps are given."
        />
        {text === '' && sampleText !== null && (
          <button type="button" onClick={() => setText(sampleText)}>
            Use the sample text
          </button>
        )}
        <PathField label="File to write" value={output} onChange={setTyped} wants="folder" />
        <label className="row tight">
          <input type="checkbox" checked={hasTokenizer} onChange={({ target }) => setTokenizer(target.checked)} />
          With the tokenizer, without which llama.cpp loads no file
        </label>
        <label className="row tight">
          <input type="checkbox" checked={isForced} onChange={({ target }) => setForced(target.checked)} />
          Replace an existing file
        </label>
        <div className="row">
          <button
            type="button"
            className="primary"
            disabled={isRunning || output === '' || needsText}
            onClick={() => void run()}
          >
            <Icon name="export" /> {isRunning ? 'Exporting…' : 'Export'}
          </button>
          {needsText && <span className="warn">GPTQ needs a calibration text.</span>}
        </div>
        {error !== null && (
          <ErrorPanel error={error}>
            <button type="button" onClick={() => void run()}>
              <Icon name="retry" /> Retry
            </button>
          </ErrorPanel>
        )}
      </section>
      {[...results].reverse().map((result) => (
        <ExportCard key={`${result.path} ${result.sha256}`} result={result} />
      ))}
    </Workspace>
  );
}

function ExportCard({ result }: { result: ExportResult }) {
  return (
    <section className="panel form" aria-label={`Exported ${result.type}`}>
      <h2 className="minor good">Exported and verified: {result.type}</h2>
      <p>Every tensor was read back and compared. llama.cpp, and programs built on it, run the file as it is.</p>
      <Facts
        facts={[
          ['file', <span className="mono">{result.path}</span>],
          ['size', formatBytes(result.fileBytes), `${formatCount(result.fileBytes)} bytes`],
          ['of the source', `${((100 * result.storedBytes) / result.sourceStoredBytes).toFixed(1)} %`],
          ['bits a weight', significant(result.bitsPerWeight), String(result.bitsPerWeight)],
          ['bits a block weight', significant(result.bitsPerBlockWeight), String(result.bitsPerBlockWeight)],
          ['method', result.method],
          ['took', formatSeconds(result.seconds)],
          ['SHA-256', <span className="mono">{result.sha256}</span>],
        ]}
      />
      {result.notes.map((note) => (
        <p key={note} className="quiet">
          {note}
        </p>
      ))}
    </section>
  );
}

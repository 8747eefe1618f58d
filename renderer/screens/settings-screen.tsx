import { useEffect, useState, type JSX } from 'react';
import type { Theme } from '../../core/contract/desk.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { formatBytes, formatCount, parseBytes } from '../../core/units.ts';
import type { CacheFigures } from '../link/engine-call-types.ts';
import { ErrorPanel } from '../parts/error-panel.tsx';
import { Facts, type Fact } from '../parts/facts.tsx';
import { NumberField } from '../parts/number-field.tsx';
import { Workspace } from '../parts/workspace.tsx';
import { ask, chooseTheme, saveSettings, useWorkbench } from '../state/workbench-store.ts';

const THEMES: readonly (readonly [Theme, string])[] = [
  ['system', 'as the system'],
  ['light', 'light'],
  ['dark', 'dark'],
];

const KEYS: readonly Fact[] = [
  ['Alt+1 … Alt+7', 'the screens, in their order'],
  ['/', 'Inspect: filter the tensors'],
  ['arrows, Enter', 'walk over tables, maps and charts; open what is selected'],
  ['Space', 'Compare: put a point side by side with another'],
  ['Ctrl+Z, Ctrl+Shift+Z', 'Recipe: undo, redo'],
  ['Ctrl+Enter', 'Recipe: run it'],
  ['Escape', 'close the inspector'],
];

export function SettingsScreen(): JSX.Element {
  const settings = useWorkbench((state) => state.settings);
  const [error, setError] = useState<SerializedError | null>(null);
  const save = (changes: Parameters<typeof saveSettings>[0]) => {
    saveSettings(changes).then(
      () => setError(null),
      (thrown: unknown) => setError(serializeError(thrown)),
    );
  };
  return (
    <Workspace>
      {error !== null && <ErrorPanel error={error} />}
      <section className="panel form" aria-label="Appearance">
        <h2 className="minor">Appearance</h2>
        <div className="segmented" role="group" aria-label="Theme">
          {THEMES.map(([theme, name]) => (
            <button
              key={theme}
              type="button"
              aria-pressed={settings.theme === theme}
              onClick={() => chooseTheme(theme)}
            >
              {name}
            </button>
          ))}
        </div>
      </section>
      <section className="panel form" aria-label="Limits">
        <h2 className="minor">Limits, from the next start on</h2>
        <div className="row fields">
          <NumberField
            label="Threads (empty: as many as there are)"
            value={settings.threads}
            step={1}
            onChange={(threads) => save({ threads: threads === null ? null : Math.max(1, Math.round(threads)) })}
          />
          <MemoryField value={settings.memoryLimitBytes} onChange={(memoryLimitBytes) => save({ memoryLimitBytes })} />
        </div>
      </section>
      <CachePanel />
      <DoctorPanel />
      <section className="panel form" aria-label="Keyboard">
        <h2 className="minor">Keyboard</h2>
        <Facts facts={KEYS} />
      </section>
    </Workspace>
  );
}

function MemoryField({ value, onChange }: { value: number | null; onChange: (bytes: number | null) => void }) {
  const written = value === null ? '' : formatBytes(value);
  const [text, setText] = useState(written);
  const [isWrong, setWrong] = useState(false);
  useEffect(() => setText(written), [written]);
  function commit() {
    if (text === written) return;
    try {
      onChange(text.trim() === '' ? null : parseBytes(text, 'the memory limit'));
      setWrong(false);
    } catch {
      setWrong(true);
    }
  }
  return (
    <div className="field">
      <label htmlFor="memory-limit">Memory of the whole process (empty: no limit)</label>
      <input
        id="memory-limit"
        value={text}
        placeholder="8 GiB"
        aria-invalid={isWrong}
        aria-describedby={isWrong ? 'memory-fault' : undefined}
        onChange={({ target }) => setText(target.value)}
        onBlur={commit}
        onKeyDown={({ key }) => {
          if (key === 'Enter') commit();
        }}
      />
      {isWrong && (
        <span id="memory-fault" className="bad small">
          Write a number with a unit, as in 8 GiB.
        </span>
      )}
    </div>
  );
}

function CachePanel() {
  const [cache, setCache] = useState<CacheFigures | null>(null);
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState<SerializedError | null>(null);
  function read() {
    ask('cache.show', {}).then(setCache, (thrown: unknown) => setError(serializeError(thrown)));
  }
  useEffect(read, []);
  function clear() {
    setAsking(false);
    ask('cache.clear', {}).then(read, (thrown: unknown) => setError(serializeError(thrown)));
  }
  return (
    <section className="panel form" aria-label="Measurement cache">
      <h2 className="minor">Measurement cache</h2>
      {error !== null && <ErrorPanel error={error} />}
      {cache !== null && (
        <Facts
          facts={[
            ['folder', <span className="mono">{cache.folder}</span>],
            ['entries', formatCount(cache.entries)],
            ['size', `${formatBytes(cache.bytes)} of at most ${formatBytes(cache.limitBytes)}`],
          ]}
        />
      )}
      {isAsking ? (
        <p className="row">
          Clear {formatBytes(cache?.bytes ?? 0)} in {cache?.folder}? It is measured again when it is needed.
          <button type="button" className="primary" onClick={clear}>
            Clear
          </button>
          <button type="button" onClick={() => setAsking(false)}>
            Keep
          </button>
        </p>
      ) : (
        <button type="button" disabled={cache === null || cache.entries === 0} onClick={() => setAsking(true)}>
          Clear the cache…
        </button>
      )}
    </section>
  );
}

function DoctorPanel() {
  const machine = useWorkbench((state) => state.machine);
  const version = useWorkbench((state) => state.version);
  if (machine === null) return null;
  const { cpu, kernels, gpus, providers, limits, versions, home, problems } = machine;
  return (
    <section className="panel form" aria-label="This machine">
      <h2 className="minor">This machine</h2>
      <Facts
        facts={[
          ['Lathe', version ?? machine.version],
          ['processor', `${cpu.model}, ${cpu.cores} cores, ${cpu.architecture}`],
          ['features', cpu.features.join(', ')],
          ['kernels', `${kernels.backend} (of ${kernels.backends.join(', ')})`],
          ['graphics', gpus.length === 0 ? 'none is used' : gpus.map(({ name }) => name).join(', ')],
          ['execution providers', providers.length === 0 ? 'none' : providers.join(', ')],
          ['memory', `${formatBytes(limits.freeMemoryBytes)} free of ${formatBytes(limits.memoryBytes)}`],
          ['threads', String(limits.threads)],
          ['Node', `${versions.node}, ${versions.platform}`],
          ['runs and settings', <span className="mono">{home}</span>],
        ]}
      />
      {problems.map(({ message, whatToDo }) => (
        <p key={message} className="warn">
          {message} {whatToDo}
        </p>
      ))}
    </section>
  );
}

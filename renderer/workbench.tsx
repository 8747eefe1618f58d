import { useEffect, useState, type JSX } from 'react';
import { baseName } from './model/compare-points.ts';
import { ErrorPanel } from './parts/error-panel.tsx';
import { Icon, type IconName } from './parts/icon.tsx';
import { ProgressVoice } from './parts/progress-voice.tsx';
import { QueueStrip } from './parts/queue-strip.tsx';
import { CompareScreen } from './screens/compare-screen.tsx';
import { ExportScreen } from './screens/export-screen.tsx';
import { InspectScreen } from './screens/inspect-screen.tsx';
import { ModelsScreen } from './screens/models-screen.tsx';
import { RecipeScreen } from './screens/recipe-screen.tsx';
import { RunsScreen } from './screens/runs-screen.tsx';
import { SettingsScreen } from './screens/settings-screen.tsx';
import { openJobs } from './state/live-jobs.ts';
import { goTo, SCREENS, useWorkbench, type Screen } from './state/workbench-store.ts';
import { formatBytes } from '../core/units.ts';

const ICONS: Readonly<Record<Screen, IconName>> = {
  Models: 'models',
  Inspect: 'inspect',
  Recipe: 'recipe',
  Runs: 'runs',
  Compare: 'compare',
  Export: 'export',
  Settings: 'settings',
};

const VIEWS: Readonly<Record<Screen, () => JSX.Element>> = {
  Models: ModelsScreen,
  Inspect: InspectScreen,
  Recipe: RecipeScreen,
  Runs: RunsScreen,
  Compare: CompareScreen,
  Export: ExportScreen,
  Settings: SettingsScreen,
};

/** The frame: rail, head, the screen, the running job. */
export function Workbench(): JSX.Element {
  const screen = useWorkbench((state) => state.screen);
  const theme = useWorkbench((state) => state.settings.theme);
  const [isNarrow, setNarrow] = useState(false);
  useEffect(() => {
    const { dataset } = document.documentElement;
    if (theme === 'system') delete dataset['theme'];
    else dataset['theme'] = theme;
  }, [theme]);
  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      // Alt and a digit goes to a screen; digits alone belong to fields.
      if (!event.altKey || event.ctrlKey || event.metaKey) return;
      const wanted = SCREENS[Number(event.code.replace('Digit', '')) - 1];
      if (!event.code.startsWith('Digit') || wanted === undefined) return;
      event.preventDefault();
      goTo(wanted);
    }
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  const View = VIEWS[screen];
  return (
    <div className={isNarrow ? 'frame narrow-rail' : 'frame'}>
      <a
        className="skip-link"
        href="#screen"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById('screen')?.focus();
        }}
      >
        Skip to the screen
      </a>
      <Rail screen={screen} isNarrow={isNarrow} onToggle={() => setNarrow(!isNarrow)} />
      <Head screen={screen} />
      <LinkBanner />
      <main id="screen" tabIndex={-1} aria-label={screen}>
        <View key={screen} />
      </main>
      <QueueStrip />
      <ProgressVoice />
    </div>
  );
}

function Rail({ screen, isNarrow, onToggle }: { screen: Screen; isNarrow: boolean; onToggle: () => void }) {
  const open = useWorkbench((state) => openJobs(state.jobs).length);
  return (
    <nav className="rail" aria-label="Screens">
      <button
        type="button"
        className="plain brand"
        onClick={onToggle}
        aria-expanded={!isNarrow}
        aria-label={isNarrow ? 'Lathe: show names' : 'Lathe: hide names'}
      >
        <Icon name="collapse" />
        <span className="rail-name">Lathe</span>
      </button>
      <ul>
        {SCREENS.map((name, index) => (
          <li key={name}>
            <button
              type="button"
              className="plain rail-item"
              aria-current={name === screen ? 'page' : undefined}
              title={`${name} (Alt+${index + 1})`}
              onClick={() => goTo(name)}
            >
              <Icon name={ICONS[name]} />
              <span className="rail-name">{name}</span>
              {name === 'Runs' && open > 0 && <span className="badge">{open}</span>}
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Head({ screen }: { screen: Screen }) {
  const model = useWorkbench((state) => state.model);
  const machine = useWorkbench((state) => state.machine);
  return (
    <header className="head">
      <div className="crumbs ellipsis">
        {model !== null && (
          <>
            <bdi title={model.path}>{baseName(model.path)}</bdi>
            <span className="quiet" aria-hidden="true">
              ▸
            </span>
          </>
        )}
        <h1>{screen}</h1>
      </div>
      {machine !== null && (
        <span className="quiet small machine" title={machine.cpu.model}>
          cpu, {machine.kernels.backend} · {machine.limits.threads} threads ·{' '}
          {formatBytes(machine.limits.freeMemoryBytes)} free
        </span>
      )}
    </header>
  );
}

function LinkBanner() {
  const link = useWorkbench((state) => state.link);
  const error = useWorkbench((state) => state.linkError);
  if (link === 'open') return null;
  if (error !== null) return <ErrorPanel error={error} />;
  return (
    <p className="banner" role="status">
      {link === 'lost'
        ? 'The engine is gone. What it had finished is kept. This window connects again by itself; if Lathe was started anew, open the address that it prints.'
        : 'Connecting to the engine…'}
    </p>
  );
}

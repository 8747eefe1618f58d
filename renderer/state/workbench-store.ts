import { create } from 'zustand';
import type { PresetCard } from '../../core/contract/preset-cards.ts';
import type { DeskSettings, SampleFiles, Theme } from '../../core/contract/desk.ts';
import type { QueuedJob } from '../../core/contract/engine-protocol.ts';
import type { InspectResult } from '../../core/contract/results.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { EngineLink, type LinkState } from '../link/engine-link.ts';
import type { EngineCalls, EngineMethodName } from '../link/engine-call-types.ts';
import type { OpenTransport } from '../link/transport.ts';
import { afterEvent, NO_PROGRESS, someEnded, type JobProgress } from './live-jobs.ts';

export const SCREENS = ['Models', 'Inspect', 'Recipe', 'Runs', 'Compare', 'Export', 'Settings'] as const;
export type Screen = (typeof SCREENS)[number];

/** The model that is open. */
export interface OpenModel {
  path: string;
  inspected: InspectResult | null;
  /** Reading headers, or weights. */
  isReading: boolean;
  error: SerializedError | null;
}

/** The jobs that this window can ask for. */
type QueuedByWindow = 'compress' | 'export' | 'evaluate' | 'resume';

/** What was asked for, so that it can be asked for again. */
export interface AskedJob {
  method: QueuedByWindow;
  params: EngineCalls[QueuedByWindow]['params'];
  result: unknown;
}

interface Workbench {
  screen: Screen;
  link: LinkState;
  /** Of the engine; null before it has said so. */
  version: string | null;
  linkError: SerializedError | null;
  machine: EngineCalls['doctor']['result'] | null;
  model: OpenModel | null;
  sample: SampleFiles | null;
  presets: readonly PresetCard[];
  settings: DeskSettings;
  jobs: readonly QueuedJob[];
  progress: Readonly<Record<string, JobProgress>>;
  asked: Readonly<Record<string, AskedJob>>;
  /** Grows whenever a job has ended, so that what depends on past runs is read again. */
  ended: number;
}

export const useWorkbench = create<Workbench>(() => ({
  screen: 'Models',
  link: 'connecting',
  version: null,
  linkError: null,
  machine: null,
  model: null,
  sample: null,
  presets: [],
  settings: { theme: 'system', threads: null, memoryLimitBytes: null },
  jobs: [],
  progress: {},
  asked: {},
  ended: 0,
}));

const { setState: set, getState: get } = useWorkbench;

let link: EngineLink | null = null;

/** Connects, and asks for what stays the same as long as the window is open. */
export function startWorkbench(open: OpenTransport): void {
  link = new EngineLink(open, {
    onState: (state, { version, error }) => {
      set({
        link: state,
        linkError: error === null ? null : serializeError(error),
        ...(version === null ? {} : { version }),
      });
      if (state === 'open') void greet();
    },
    onJobs: (jobs) =>
      set((before) => ({ jobs, ended: someEnded(before.jobs, jobs) ? before.ended + 1 : before.ended })),
  });
  link.connect();
}

async function greet(): Promise<void> {
  // Each on its own: what one cannot tell must not keep the others away.
  await Promise.all([
    keep(ask('presets', {}), ({ presets }) => set({ presets })),
    keep(ask('sample', {}), (sample) => set({ sample })),
    keep(ask('settings.get', {}), (settings) => set({ settings })),
    keep(ask('doctor', {}), (machine) => set({ machine })),
    keep(reopenModel(), () => undefined),
  ]);
}

async function keep<Value>(asked: Promise<Value>, take: (value: Value) => void): Promise<void> {
  try {
    take(await asked);
  } catch {
    // The screen that needs it asks again and shows what is wrong.
  }
}

/** A call that is answered at once. */
export function ask<Method extends EngineMethodName>(
  method: Method,
  params: EngineCalls[Method]['params'],
): Promise<EngineCalls[Method]['result']> {
  if (link === null) throw new Error('the workbench was not started');
  return link.call(method, params);
}

/** Puts a job into the queue; its end is seen in `jobs`, its result in `asked`. */
export async function enqueue<Method extends QueuedByWindow>(
  method: Method,
  params: EngineCalls[Method]['params'],
): Promise<EngineCalls[Method]['result']> {
  if (link === null) throw new Error('the workbench was not started');
  let name = '';
  const result = await link.call(method, params, {
    onQueued: (job) => {
      name = job;
      set(({ asked }) => ({ asked: { ...asked, [job]: { method, params, result: null } } }));
    },
    onEvent: (event) => {
      if (event.event === 'log') return;
      set(({ progress }) => {
        const before = progress[name] ?? NO_PROGRESS;
        const after = afterEvent(before, event);
        return after === before ? {} : { progress: { ...progress, [name]: after } };
      });
    },
  });
  set(({ asked }) => ({ asked: { ...asked, [name]: { method, params, result } } }));
  return result;
}

/** As `enqueue`, for those who look for the end in the queue. */
export function enqueueAndForget(...call: Parameters<typeof enqueue>): void {
  enqueue(...call).catch(() => undefined);
}

/** Each screen is an address, so that the browser's own ways back and forth work. */
export function goTo(screen: Screen): void {
  set({ screen });
  const hash = `#/${screen}`;
  if (window.location.hash !== hash) window.location.hash = hash;
}

function screenOfAddress(): Screen | null {
  const name = window.location.hash.replace(/^#\//, '');
  return SCREENS.find((screen) => screen === name) ?? null;
}

export function followAddress(): void {
  const screen = screenOfAddress();
  if (screen !== null) set({ screen });
}

const MODEL_KEY = 'lathe.model';

function rememberModel(path: string): void {
  try {
    sessionStorage.setItem(MODEL_KEY, path);
  } catch {
    // It only has to be opened again after the page was loaded anew.
  }
}

/** After a page was loaded anew: the model that was open in it. */
async function reopenModel(): Promise<void> {
  let path: string | null = null;
  try {
    path = sessionStorage.getItem(MODEL_KEY);
  } catch {
    return;
  }
  if (path === null || get().model !== null) return;
  const inspected = await ask('models.open', { path });
  if (get().model === null) set({ model: { path, inspected, isReading: false, error: null } });
}

/** Opens a model and looks at it; a model that cannot be opened leaves the one before in its place. */
export async function openModel(path: string): Promise<void> {
  const before = get().model;
  set({ model: { path, inspected: null, isReading: true, error: null } });
  try {
    const inspected = await ask('models.open', { path });
    set({ model: { path, inspected, isReading: false, error: null } });
    rememberModel(path);
    goTo('Inspect');
  } catch (error) {
    set({ model: before });
    throw error;
  }
}

/** Reads all weights of the open model. */
export async function readWeights(): Promise<void> {
  const { model } = get();
  if (model === null || model.isReading) return;
  const { path } = model;
  const change = (parts: Partial<OpenModel>) => {
    const { model: now } = get();
    if (now?.path === path) set({ model: { ...now, ...parts } });
  };
  change({ isReading: true, error: null });
  try {
    change({ inspected: await ask('inspect', { model: path, statistics: true }), isReading: false });
  } catch (error) {
    change({ isReading: false, error: serializeError(error) });
  }
}

export async function saveSettings(changes: Partial<DeskSettings>): Promise<void> {
  set({ settings: await ask('settings.set', changes) });
}

export function chooseTheme(theme: Theme): void {
  set(({ settings }) => ({ settings: { ...settings, theme } }));
  void saveSettings({ theme }).catch(() => undefined);
}

/** What a worker thread runs: one scorer, calibrator or prober, opened, asked and closed by calls. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { Sequence } from '../../core/evaluation/score-sequences.ts';
import { KernelError } from '../../core/errors.ts';
import { loadKernels } from '../../native-kernels/index.ts';
import type { Calibrator, CalibrationStep, CalibratorRequest } from './calibrator.ts';
import { openCalibrator } from './open-calibrator.ts';
import { openProber } from './open-prober.ts';
import { openScorer } from './open-scorer.ts';
import type { Probe, Prober, ProberRequest } from './prober.ts';
import type { MemoryRequest, Scorer, ScorerOptions } from './scorer.ts';
import { serveCalls } from './serve-calls.ts';

/** Given to the thread when it starts. */
export interface InferenceWorkerData {
  /** The built `lathe-kernels.node`. */
  kernelsPath: string;
  serves: 'scorer' | 'calibrator' | 'prober';
}

function requireOpened<Opened>(opened: Opened | null): Opened {
  if (opened !== null) return opened;
  const what = 'An inference thread was asked before it was open.';
  throw new KernelError({ code: 'BUG_UNEXPECTED', what, whatToDo: 'This is a fault in Lathe: please report it.' });
}

function serveScorer(port: MessagePort, kernelsPath: string): void {
  let scorer: Scorer | null = null;
  serveCalls(port, {
    async open(options: ScorerOptions) {
      scorer = await openScorer(options, loadKernels(kernelsPath));
      return scorer.facts;
    },
    reserve: (request: MemoryRequest) => requireOpened(scorer).reserve(request),
    batchSize: (length: number) => requireOpened(scorer).batchSize(length),
    score: (sequences: Sequence[], signal) => requireOpened(scorer).score(sequences, signal),
    close: () => requireOpened(scorer).close(),
  });
}

function serveCalibrator(port: MessagePort, kernelsPath: string): void {
  let calibrator: Calibrator | null = null;
  serveCalls(port, {
    async open(options: { model: string; threads: number }) {
      calibrator = await openCalibrator(options, loadKernels(kernelsPath));
      return calibrator.facts;
    },
    reserve: (request: CalibratorRequest) => requireOpened(calibrator).reserve(request),
    begin: (windows: Int32Array[], signal) => requireOpened(calibrator).begin(windows, signal),
    advance: (step: CalibrationStep, signal) => requireOpened(calibrator).advance(step, signal),
    close: () => requireOpened(calibrator).close(),
  });
}

function serveProber(port: MessagePort, kernelsPath: string): void {
  let prober: Prober | null = null;
  serveCalls(port, {
    async open(options: { model: string; threads: number }) {
      prober = await openProber(options, loadKernels(kernelsPath));
      return prober.facts;
    },
    reserve: (request: ProberRequest) => requireOpened(prober).reserve(request),
    begin: (windows: Int32Array[], signal) => requireOpened(prober).begin(windows, signal),
    probe: (probe: Probe, signal) => requireOpened(prober).probe(probe, signal),
    close: () => requireOpened(prober).close(),
  });
}

const SERVICES = { scorer: serveScorer, calibrator: serveCalibrator, prober: serveProber } as const;

if (parentPort !== null) {
  const { kernelsPath, serves } = workerData as InferenceWorkerData;
  SERVICES[serves](parentPort, kernelsPath);
}

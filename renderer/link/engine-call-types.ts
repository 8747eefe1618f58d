/** What the window asks of an engine: parameters as the contract checks them, and what each call is answered. */
import type { DeskSettings, FolderListing, RecentModels, SampleFiles } from '../../core/contract/desk.ts';
import type { CallParams, EngineMethod } from '../../core/contract/engine-calls.ts';
import type { EvaluateResult } from '../../core/contract/evaluation-result.ts';
import type { ExplainResult } from '../../core/contract/explain-result.ts';
import type { ExportResult } from '../../core/contract/export-result.ts';
import type { PresetCard } from '../../core/contract/preset-cards.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { CompressResult, DoctorResult, EstimateResult, InspectResult } from '../../core/contract/results.ts';
import type { RunsListResult, RunsShowResult } from '../../core/contract/runs-result.ts';

export interface CacheFigures {
  folder: string;
  entries: number;
  bytes: number;
  limitBytes: number;
}

/** Of the calls that the window makes; `unknown` where only the end counts. */
interface CallResults {
  presets: { presets: PresetCard[] };
  'recipe.parse': { recipe: Recipe };
  explain: ExplainResult;
  estimate: EstimateResult;
  inspect: InspectResult;
  doctor: DoctorResult;
  'runs.list': RunsListResult;
  'runs.show': RunsShowResult;
  'files.list': FolderListing;
  'models.recent': RecentModels;
  'models.open': InspectResult;
  'models.forget': unknown;
  sample: SampleFiles;
  'settings.get': DeskSettings;
  'settings.set': DeskSettings;
  'cache.show': CacheFigures;
  'cache.clear': unknown;
  'jobs.pause': unknown;
  'jobs.resume': unknown;
  'jobs.cancel': unknown;
  'jobs.remove': unknown;
  'jobs.move': unknown;
  compress: CompressResult;
  export: ExportResult;
  evaluate: EvaluateResult;
  resume: { command: string; result: CompressResult | EvaluateResult };
}

export type EngineMethodName = keyof CallResults & EngineMethod;

export type EngineCalls = {
  [Method in EngineMethodName]: { params: CallParams<Method>; result: CallResults[Method] };
};

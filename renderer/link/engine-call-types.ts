/** What the window asks of an engine, and what it is answered. */
import type { DeskSettings, FolderListing, RecentModels, SampleFiles } from '../../core/contract/desk.ts';
import type { EvaluateResult } from '../../core/contract/evaluation-result.ts';
import type { ExplainResult } from '../../core/contract/explain-result.ts';
import type { ExportResult } from '../../core/contract/export-result.ts';
import type { GgufMix } from '../../core/contract/gguf-mixes.ts';
import type { PresetCard } from '../../core/contract/preset-cards.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { CompressResult, DoctorResult, EstimateResult, InspectResult } from '../../core/contract/results.ts';
import type { RunsListResult, RunsShowResult } from '../../core/contract/runs-result.ts';

interface Call<Params, Result> {
  params: Params;
  result: Result;
}

type None = Record<string, never>;
type JobCall = Call<{ job: string }, unknown>;

export interface CacheFigures {
  folder: string;
  entries: number;
  bytes: number;
  limitBytes: number;
}

/** How a job waits in the queue. */
interface Queued {
  queue?: { label?: string; priority?: number };
}

export interface CompressParams extends Queued {
  model: string;
  output: string;
  recipe: Recipe;
  recipeFolder: string;
  resume: boolean;
  force: boolean;
}

export interface ExportParams extends Queued {
  model: string;
  output: string;
  type: GgufMix;
  calibration: { texts: string[]; sequences: number; sequenceLength: number; seed: number } | null;
  imatrix: string | null;
  method: 'rtn' | 'gptq';
  hasTokenizer: boolean;
  force: boolean;
}

export interface EngineCalls {
  presets: Call<None, { presets: PresetCard[] }>;
  'recipe.parse': Call<{ text: string; calibrationTexts: string[] }, { recipe: Recipe }>;
  explain: Call<{ model: string; recipe: Recipe; tensor: string | null }, ExplainResult>;
  estimate: Call<{ model: string; recipe: Recipe; recipeFolder: string; output: null }, EstimateResult>;
  inspect: Call<{ model: string; statistics: boolean }, InspectResult>;
  doctor: Call<None, DoctorResult>;
  'runs.list': Call<{ limit: number }, RunsListResult>;
  'runs.show': Call<{ id: string }, RunsShowResult>;
  'files.list': Call<{ path: string | null }, FolderListing>;
  'models.recent': Call<None, RecentModels>;
  'models.open': Call<{ path: string }, InspectResult>;
  'models.forget': Call<{ path: string }, unknown>;
  sample: Call<None, SampleFiles>;
  'settings.get': Call<None, DeskSettings>;
  'settings.set': Call<Partial<DeskSettings>, DeskSettings>;
  'cache.show': Call<None, CacheFigures>;
  'cache.clear': Call<None, unknown>;
  'jobs.pause': JobCall;
  'jobs.resume': JobCall;
  'jobs.cancel': JobCall;
  'jobs.remove': JobCall;
  'jobs.move': Call<{ job: string; before: string | null }, unknown>;
  compress: Call<CompressParams, CompressResult>;
  export: Call<ExportParams, ExportResult>;
  resume: Call<Queued & { run: string }, { command: string; result: CompressResult | EvaluateResult }>;
}

export type EngineMethodName = keyof EngineCalls;

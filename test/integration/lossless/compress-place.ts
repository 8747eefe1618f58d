import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { faultEnvironment, type Fault } from '../../helpers/fault-injection.ts';
import { runLathe, type LatheRun, type RunLatheOptions } from '../../helpers/run-lathe.ts';

export type Codec = 'dfloat11' | 'split-plane';
/** A codec, or a preset that quantizes. */
export type Method = Codec | 'q4_k_m' | 'q8_0';

export function recipeOf(method: Method): string {
  const preset = method.startsWith('q') ? method : `lossless-${method}`;
  return fileURLToPath(new URL(`../../../examples/recipes/${preset}.yaml`, import.meta.url));
}

/** A temporary folder without links on its path. */
export function makeFolder(name: string): string {
  return realpathSync(mkdtempSync(join(tmpdir(), `lathe-${name}-`)));
}

/** One run's surroundings: everything that it may write lies in `folder`, and goes with it. */
export class CompressPlace {
  readonly folder = makeFolder('place');
  readonly output = join(this.folder, 'out', 'compressed');
  readonly home = join(this.folder, 'home');
  readonly log = join(this.folder, 'calls.log');
  readonly model: string;
  readonly recipe: string;

  constructor(model: string, method: Method) {
    this.model = model;
    this.recipe = recipeOf(method);
    mkdirSync(join(this.folder, 'out'));
  }

  /** `lathe compress` on one thread, with these further arguments and perhaps a fault. */
  compress(more: readonly string[] = [], fault?: Fault, options: RunLatheOptions = {}): Promise<LatheRun> {
    const args = ['compress', this.model, '-o', this.output, '--recipe', this.recipe, '--threads', '1', ...more];
    return this.run(args, fault, options);
  }

  /** Any command, in this place's LATHE_HOME. */
  run(args: readonly string[], fault?: Fault, options: RunLatheOptions = {}): Promise<LatheRun> {
    const watched = [join(this.folder, 'out'), this.home];
    // One write for each record, so that every run makes the same calls.
    const env = fault ? { ...faultEnvironment(fault, watched, this.log), LATHE_JOURNAL_GROUP_MS: '0' } : {};
    return runLathe([...args, '--json'], { ...options, env: { ...env, LATHE_HOME: this.home, ...options.env } });
  }

  /** What lies beside the output, itself left out: nothing once a run is over. */
  leftovers(): string[] {
    const beside = readdirSync(join(this.folder, 'out')).filter((name) => name !== 'compressed');
    const runs = readdirSync(this.folder).includes('home') ? filesBelow(this.home) : [];
    // A killed run leaves its lock's file: free, and taken away with the run.
    const foreign = runs.filter(
      (path) => !/^(?:runs|runs\/[^/]+|runs\/[^/]+\/(?:journal\.jsonl|log\.ndjson|lock))$/.test(path),
    );
    return [...beside, ...foreign.map((path) => `home/${path}`)];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

import { access, constants, readFile } from 'node:fs/promises';
import { arch, cpus, freemem, platform, release, totalmem } from 'node:os';
import type { DoctorResult } from '../../core/contract/results.ts';
import { WorkbenchError } from '../../core/errors.ts';
import type { KernelDescription, Kernels } from '../../core/kernels/kernels.ts';
import { makeFolders } from '../engine/durable-files.ts';
import { programVersion } from '../engine/run-identity.ts';

/** Below this, headers of the largest models and a few buffers do not fit any more. */
const MIN_MEMORY_BYTES = 1 << 30;
/** A model in shards and its output open some tens of files. */
const MIN_OPEN_FILES = 256;

/** Looks at the machine and says what Lathe makes of it, and what to do about each gap. */
export async function doctorJob(kernels: () => Kernels, home: string): Promise<DoctorResult> {
  const problems: DoctorResult['problems'] = [];
  const described = describeKernels(kernels, problems);
  const processors = cpus();
  const openFiles = await openFileLimit();
  const memoryBytes = await memoryLimit();
  if (described.backend === 'scalar') {
    const message = 'No vector instructions that Lathe knows were found: coding is several times slower here.';
    problems.push({ message, whatToDo: 'Use a processor with AVX2 or AVX-512 for large models.' });
  }
  if (memoryBytes < MIN_MEMORY_BYTES) {
    const message = `This process may use ${memoryBytes} bytes of memory.`;
    problems.push({ message, whatToDo: 'Give it 1 GiB or more.' });
  }
  if (openFiles !== null && openFiles < MIN_OPEN_FILES) {
    problems.push({
      message: `Only ${openFiles} files may be open at once.`,
      whatToDo: 'Raise the limit: ulimit -n 4096.',
    });
  }
  const homeProblem = await writeProblem(home);
  if (homeProblem !== null) {
    const message = `Runs cannot be noted in "${home}": ${homeProblem}.`;
    problems.push({ message, whatToDo: 'Set LATHE_HOME to a folder that you can write.' });
  }
  return {
    schema: 1,
    version: programVersion(),
    cpu: {
      model: processors[0]?.model.trim() ?? 'unknown',
      cores: processors.length,
      architecture: arch(),
      features: described.features,
    },
    kernels: { version: described.version, backend: described.backend, backends: described.backends },
    gpus: [],
    providers: ['cpu'],
    limits: { memoryBytes, freeMemoryBytes: freemem(), threads: processors.length, openFiles },
    versions: { node: process.versions.node, platform: `${platform()} ${release()}`, v8: process.versions.v8 },
    home,
    problems,
  };
}

function describeKernels(kernels: () => Kernels, problems: DoctorResult['problems']): KernelDescription {
  try {
    return kernels().describe();
  } catch (error) {
    if (!(error instanceof WorkbenchError)) throw error;
    problems.push({ message: error.what, whatToDo: error.whatToDo });
    return { version: 'not loaded', backend: 'none', backends: [], features: [] };
  }
}

/** The machine's memory, or what the container leaves of it. */
async function memoryLimit(): Promise<number> {
  for (const path of ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']) {
    const text = await readFile(path, 'utf8').catch(() => '');
    const bytes = Number.parseInt(text, 10);
    if (bytes > 0) return Math.min(bytes, totalmem());
  }
  return totalmem();
}

async function openFileLimit(): Promise<number | null> {
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const limit = /^Max open files\s+(\d+)/m.exec(text);
  return limit ? Number(limit[1]) : null;
}

async function writeProblem(folder: string): Promise<string | null> {
  try {
    await makeFolders(folder);
    await access(folder, constants.W_OK);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

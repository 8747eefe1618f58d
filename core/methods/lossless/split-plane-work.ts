import type { EncodeSplitPlaneStep, Recipe } from '../../contract/recipe.ts';
import { LATHE_FILE_NAME } from '../../contract/lathe-file.ts';
import { planeSplitOf } from '../../formats/split-plane/plane-splits.ts';
import { BLOB_ALIGNMENT } from '../../formats/split-plane/split-plane-header.ts';
import {
  buildSplitPlaneHeader,
  inDataOrder,
  reserveHeaderBytes,
} from '../../formats/split-plane/split-plane-writer.ts';
import type { SafetensorsTensor } from '../../formats/safetensors/safetensors-header.ts';
import type { RunningDigest, SplitPlaneTensor } from '../../kernels/kernels.ts';
import { isSplitPlaneName } from '../../model/file-kinds.ts';
import type { WeightFile } from '../../model/open-model.ts';
import { copiedFiles, copyItems, placeOtherFiles } from './copy-other-files.ts';
import { groupBySize } from './group-by-size.ts';
import { keepOriginals } from './keep-originals.ts';
import { skippedTensors } from './skipped-tensors.ts';
import { splitPlaneName, storedSplitPlaneBytes } from './split-plane-names.ts';
import type { LosslessWork, SourceFile, StoredTensor, WorkContext, WorkItem, WorkRecords } from './work.ts';

/** Tensors coded under one journal record: a record costs a sync, a crash costs the group. */
const GROUP_BYTES = 256 << 20;

type GroupRecord = { tensors: SplitPlaneTensor[]; end: number };
/** `isMoved`: the header outgrew its reserve, and header and data stand in a file of another name until the end. */
type EndRecord = { sha256: string; bytes: number; isMoved: boolean };

/** What the items of one source file share. */
interface FileWork {
  file: WeightFile;
  /** Output path, relative. */
  to: string;
  /** In data order. */
  groups: SafetensorsTensor[][];
  /** Data begin here while the header is not known yet. */
  reservedBytes: number;
  /** SHA-256 of the source, fed in order as far as `fedBytes`; made anew when a run is resumed. */
  digest: RunningDigest | null;
  fedBytes: number;
}

/**
 * Plans the coding of a model as split-plane v1: each weight file becomes a `.splane` file of its own, other files are
 * copied. An item codes a group of neighbouring tensors; a last one for each file writes its header.
 *
 * Source: docs/formats/split-plane.md. Skipped tensors are stored raw.
 * @throws UsageError RECIPE_INVALID_PATTERN
 */
export function planSplitPlaneWork(context: WorkContext, recipe: Recipe, step: EncodeSplitPlaneStep): LosslessWork {
  const { model, files, access, folder } = context;
  const names = model.tensors.map(({ name }) => name);
  const { skip, notes } = skippedTensors(recipe, names);
  const works = model.weightFiles.map((file): FileWork => {
    const { tensors, headerBytes } = file.header;
    return {
      file,
      to: splitPlaneName(file.path),
      groups: groupBySize(inDataOrder(tensors), ({ sizeBytes }) => sizeBytes, GROUP_BYTES),
      reservedBytes: reserveHeaderBytes({ tensors, headerBytes, fileSizeBytes: file.sizeBytes }),
      digest: null,
      fedBytes: 0,
    };
  });
  const others = model.indexFile !== null && model.openedAs === 'index' ? [model.indexFile] : [];
  const temporary = new Set(works.map(({ to }) => movedName(to).toLowerCase()));
  const isTaken = (path: string) => {
    const name = path.toLowerCase();
    return isSplitPlaneName(name) || name === LATHE_FILE_NAME || temporary.has(name);
  };
  const placed = placeOtherFiles(model.otherFiles, isTaken);
  const copies = copyItems(placed, context);
  const fileItems = works.map((work) => [
    ...work.groups.map((group, index) => groupItem(work, group, index, step, skip, context)),
    endItem(work, context),
  ]);
  return {
    items: [...fileItems.flat(), ...copies],
    finish: async (records) => {
      for (const work of works) await putMovedInPlace(work, records, context);
      const { original, digests } = await keepOriginals(context, placed, others);
      // Each `.splane` file holds its source's header.
      original.headers.clear();
      return {
        tensors: works.flatMap((work) => storedTensors(work, records)),
        sourceFiles: [
          ...works.map((work): SourceFile => {
            return { path: work.file.path, bytes: work.file.sizeBytes, sha256: endRecord(work, records).sha256 };
          }),
          ...copiedFiles(copies, records),
          ...digests,
        ],
        original,
        outputFiles: [...works.map(({ to }) => to), ...placed.map(({ to }) => to)],
        notes,
      };
    },
  };

  async function putMovedInPlace(work: FileWork, records: WorkRecords, { kernels, call }: WorkContext): Promise<void> {
    const path = `${folder}/${work.to}`;
    if (!endRecord(work, records).isMoved || (await access.stat(movedName(path))) === null) return;
    await files.rename(movedName(path), path);
    await kernels.syncFile(path, call());
  }
}

/** Where a file grows whose header turned out longer than its reserve. */
function movedName(path: string): string {
  return `${path}.moved`;
}

function groupKey({ file }: FileWork, index: number): string {
  return `group:${file.path}:${index}`;
}

function endKey({ file }: FileWork): string {
  return `end:${file.path}`;
}

function groupRecords(work: FileWork, records: WorkRecords): GroupRecord[] {
  return work.groups.map((_, index) => records.get(groupKey(work, index)) as unknown as GroupRecord);
}

function endRecord(work: FileWork, records: WorkRecords): EndRecord {
  return records.get(endKey(work)) as unknown as EndRecord;
}

function groupItem(
  work: FileWork,
  group: readonly SafetensorsTensor[],
  index: number,
  step: EncodeSplitPlaneStep,
  skip: ReadonlySet<string>,
  context: WorkContext,
): WorkItem {
  const { kernels, files, access, model, folder, call } = context;
  const source = `${model.root}/${work.file.path}`;
  return {
    key: groupKey(work, index),
    label: work.groups.length === 1 ? work.file.path : `${work.file.path}, part ${index + 1} of ${work.groups.length}`,
    workBytes: group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    async run(records) {
      const path = await files.prepare(folder, work.to);
      const { headerBytes } = work.file.header;
      let end = headerBytes;
      if (index === 0) {
        const range = { path: source, offsetBytes: 0, sizeBytes: headerBytes };
        await kernels.copyRange(range, path, work.reservedBytes, call());
      } else {
        end = (records.get(groupKey(work, index - 1)) as unknown as GroupRecord).end;
      }
      const tensors: SplitPlaneTensor[] = [];
      for (const { name, dtype, offsetBytes, sizeBytes } of group) {
        const digest = await feedUpTo(offsetBytes, work, context);
        const coded = await kernels.encodeSplitPlane(
          [{ path: source, offsetBytes, sizeBytes }],
          planeSplitOf(dtype),
          skip.has(name) ? 'raw' : step.coder,
          { path, dataStart: work.reservedBytes, offset: Math.ceil(end / BLOB_ALIGNMENT) * BLOB_ALIGNMENT },
          digest,
          call(),
        );
        work.fedBytes += sizeBytes;
        end = coded.end;
        tensors.push(coded);
      }
      await kernels.syncFile(path, call());
      return { tensors, end };
    },
    async holds(record) {
      // Coding a group again writes the same bytes to the same place, so those after it stay good.
      const size = (await access.stat(`${folder}/${work.to}`))?.sizeBytes ?? 0;
      return size >= work.reservedBytes + (record['end'] as number);
    },
  };
}

/** The running digest of the source, after every byte before `offsetBytes`. */
async function feedUpTo(
  offsetBytes: number,
  work: FileWork,
  { kernels, model, call }: WorkContext,
): Promise<RunningDigest> {
  work.digest ??= kernels.createDigest();
  const { digest, fedBytes, file } = work;
  if (fedBytes < offsetBytes) {
    const range = { path: `${model.root}/${file.path}`, offsetBytes: fedBytes, sizeBytes: offsetBytes - fedBytes };
    await kernels.feedDigest(digest, range, call());
    work.fedBytes = offsetBytes;
  }
  return digest;
}

function endItem(work: FileWork, context: WorkContext): WorkItem {
  const { kernels, files, access, folder, call } = context;
  const { file, reservedBytes } = work;
  const { headerBytes } = file.header;
  return {
    key: endKey(work),
    label: work.to,
    workBytes: 0,
    async run(records) {
      const sha256 = (await feedUpTo(file.sizeBytes, work, context)).hex();
      const coded = groupRecords(work, records);
      const path = await files.prepare(folder, work.to);
      const dataEnd = coded[coded.length - 1]?.end ?? headerBytes;
      if (coded.length === 0) await writeHeaderBlob(path);
      const entries = work.groups.flatMap((group, index) =>
        group.map(({ name, dtype, shape, sizeBytes }, at) => {
          const { sha256: tensorSha256 = '', planes = [] } = coded[index]?.tensors[at] ?? {};
          return { name, dtype, shape, bytes: sizeBytes, sha256: tensorSha256, planes };
        }),
      );
      const header = buildSplitPlaneHeader(
        {
          source: { bytes: file.sizeBytes, sha256, header: { offset: 0, bytes: headerBytes } },
          tensors: entries,
        },
        { minimumBytes: reservedBytes },
      );
      const isMoved = header.length > reservedBytes;
      const target = isMoved ? movedName(path) : path;
      await files.setSize(target, header.length + dataEnd);
      if (isMoved) {
        const data = { path, offsetBytes: reservedBytes, sizeBytes: dataEnd };
        await kernels.copyRange(data, target, header.length, call());
      }
      await files.writeAt(target, header, 0);
      await kernels.syncFile(target, call());
      return { sha256, bytes: header.length + dataEnd, isMoved };
    },
    async holds(record) {
      const path = `${folder}/${work.to}`;
      const found = [await access.stat(path), await access.stat(movedName(path))];
      return found.some((facts) => facts?.sizeBytes === record['bytes']);
    },
  };

  /** A file without tensors has no group that would have written it. */
  async function writeHeaderBlob(path: string): Promise<void> {
    const range = { path: `${context.model.root}/${file.path}`, offsetBytes: 0, sizeBytes: headerBytes };
    await kernels.copyRange(range, path, reservedBytes, call());
  }
}

function storedTensors(work: FileWork, records: WorkRecords): StoredTensor[] {
  const coded = groupRecords(work, records);
  return work.groups.flatMap((group, index) =>
    group.map(({ name, dtype, shape }, at): StoredTensor => {
      const planes = coded[index]?.tensors[at]?.planes ?? [];
      return { name, dtype, shape, method: 'split-plane', storedBytes: storedSplitPlaneBytes(planes), file: work.to };
    }),
  );
}

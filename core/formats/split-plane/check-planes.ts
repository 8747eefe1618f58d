import type { Plane, PlaneCodec, PlaneKind, PlaneSplit } from '../../kernels/kernels.ts';
import { shown } from '../../quoted.ts';
import { checkBook } from './check-book.ts';
import { PLANE_KINDS } from './plane-splits.ts';
import { count, isObject, refuseSplitPlane } from './split-plane-fields.ts';

/** Collects the blobs of a file while its tensors are checked. */
export interface BlobPlace {
  file: string;
  dataBytes: number;
  blobs: { offset: number; bytes: number; tensor: string | undefined }[];
}

interface TensorPlace {
  file: string;
  tensor: string;
}

/** Longer planes are cut into parts of this many elements, so that a part's indices fit 32 bits. */
const MAX_PART_ELEMENTS = 2 ** 31;
const CHUNK_ELEMENTS = 65_536;
const KINDS: readonly string[] = Object.values(PLANE_KINDS).flat();
const XXH3 = /^[0-9a-f]{16}$/;

/** The fewest bytes that a codec can need; a blob below this is refused before anything is allocated for its elements. */
const LEAST_BYTES: Record<PlaneCodec, (elements: number) => number> = {
  raw: (elements) => elements,
  const: () => 1,
  // Offset table, and 32 states in each chunk.
  rans12x32: (elements) => 4 + 132 * Math.ceil(elements / CHUNK_ELEMENTS),
  // Block lengths, and one byte in each block of 128.
  huff12: (elements) => 2 * Math.ceil(elements / 128),
  pal4: (elements) => 4 + 4 * Math.ceil(elements / CHUNK_ELEMENTS) + Math.ceil(elements / 2),
};

/**
 * Checks the planes of one tensor: each kind of the split once, or in parts that follow one another, and nothing else.
 *
 * @throws FormatError as `parseSplitPlaneHeader`
 */
export function checkPlanes(
  list: readonly unknown[],
  split: PlaneSplit,
  bytes: number,
  at: TensorPlace,
  place: BlobPlace,
): Plane[] {
  const planes = list.map((value) => checkPlane(value, at));
  const kinds = PLANE_KINDS[split];
  const elements = bytes / kinds.length;
  for (const kind of kinds) {
    let next = 0;
    const parts = planes.filter((plane) => plane.kind === kind).sort((a, b) => a.first - b.first);
    for (const part of parts) {
      if (part.first !== next || part.elements > MAX_PART_ELEMENTS || (part.elements === 0 && elements > 0)) {
        const found = `a part of plane "${kind}" has ${part.elements} elements from ${part.first} on, expected it at ${next}`;
        throw refuseSplitPlane('FORMAT_SHAPE_MISMATCH', at, `${found} with at most 2^31.`);
      }
      next += part.elements;
    }
    if (parts.length === 0 || next !== elements) {
      const found = `plane "${kind}" has ${next} elements in ${parts.length} parts, expected ${elements}.`;
      throw refuseSplitPlane('FORMAT_SHAPE_MISMATCH', at, found);
    }
  }
  const stranger = planes.find(({ kind }) => !kinds.includes(kind));
  if (stranger) {
    const found = `found a plane "${stranger.kind}", expected ${kinds.join(', ')}.`;
    throw refuseSplitPlane('FORMAT_SHAPE_MISMATCH', at, found);
  }
  for (const plane of planes) place.blobs.push({ offset: plane.offset, bytes: plane.bytes, tensor: at.tensor });
  return planes;
}

function checkPlane(value: unknown, at: TensorPlace): Plane {
  if (!isObject(value)) throw refuseSplitPlane('FORMAT_HEADER_INVALID', at, 'a plane is not described by an object.');
  const { kind, codec, xxh3, book } = value;
  if (!isKind(kind) || !isCodec(codec)) {
    const found = `found a plane of kind ${shown(kind)} and codec ${shown(codec)}, which are not known.`;
    throw refuseSplitPlane('FORMAT_UNSUPPORTED_VERSION', at, found);
  }
  const plane: Plane = {
    kind,
    codec,
    offset: count(value['offset'], `"offset" of plane "${kind}"`, at),
    bytes: count(value['bytes'], `"bytes" of plane "${kind}"`, at),
    elements: count(value['elements'], `"elements" of plane "${kind}"`, at),
    first: count(value['first'], `"first" of plane "${kind}"`, at),
    xxh3: typeof xxh3 === 'string' ? xxh3 : '',
  };
  if (!XXH3.test(plane.xxh3)) {
    const found = `"xxh3" of plane "${kind}" is not 16 lower-case hexadecimal digits.`;
    throw refuseSplitPlane('FORMAT_HEADER_INVALID', at, found);
  }
  checkBlobSize(plane, at);
  const checked = checkBook(codec, book);
  if (checked === 'wrong') {
    const found = `the book of plane "${kind}" is not one of codec ${codec}.`;
    throw refuseSplitPlane('FORMAT_CODED_DATA_MALFORMED', at, found);
  }
  return checked ? { ...plane, book: checked } : plane;
}

function checkBlobSize({ kind, codec, bytes, elements }: Plane, at: TensorPlace): void {
  const least = LEAST_BYTES[codec](elements);
  const isExact = codec === 'raw' || codec === 'const';
  if (bytes < least || (isExact && bytes !== least) || (elements === 0 && codec !== 'raw')) {
    const found = `plane "${kind}" has ${elements} elements in ${bytes} bytes of codec ${codec}, expected ${least} bytes`;
    throw refuseSplitPlane('FORMAT_CODED_DATA_MALFORMED', at, `${found}${isExact ? '.' : ' or more.'}`);
  }
}

function isKind(value: unknown): value is PlaneKind {
  return typeof value === 'string' && KINDS.includes(value);
}

function isCodec(value: unknown): value is PlaneCodec {
  return typeof value === 'string' && Object.hasOwn(LEAST_BYTES, value);
}

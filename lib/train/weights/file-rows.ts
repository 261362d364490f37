import { isCompactError } from '../../errors.js';
import { floatBytes, isFloat, type FloatDType, type TensorReader } from '../../formats/index.js';
import { dtypeBytes, numElements, type DType } from '../../graph/index.js';
import type { Engine, HostDType } from '../../runtime/index.js';
import { checkAborted } from '../abort.js';
import { checkedNumbers, notFinite, pieces } from './tensor-elements.js';
import { isContiguous, type StoredShape } from './tensor-parts.js';

/*
 * The way of a tensor from its file into a value of an engine: rows go as they lie in the file, and the engine converts
 * them and turns them round. Several pieces are on their way at a time, so that the disk, the engine and this thread do
 * not wait for one another.
 */

/** A value of an engine, and the rows of a file that it is made of. */
export interface FileRows {
  readonly value: { readonly name: string; readonly dtype: DType };
  /** Its name in the file, and the type of its numbers there. */
  readonly tensor: string;
  readonly dtype: HostDType;
  /** Where in the tensor the first row begins. */
  readonly firstElement: number;
  readonly numRows: number;
  /** Numbers of a row, and which of them are the value's. */
  readonly stride: number;
  readonly firstColumn: number;
  readonly columns: number;
  readonly isTransposed: boolean;
}

/** Where in its tensor a parameter lies. What is in one piece and not turned round is rows of one number. */
export function rowsIn(
  stored: StoredShape,
): Pick<FileRows, 'firstElement' | 'numRows' | 'stride' | 'firstColumn' | 'columns' | 'isTransposed'> {
  const { shape, isTransposed, part } = stored;
  const width = shape.at(-1)!;
  const first = part?.first ?? 0;
  const rowsOf = (numRows: number, stride: number) => ({
    ...{ firstElement: 0, numRows, stride, firstColumn: 0, columns: stride, isTransposed },
  });
  if (isTransposed) {
    const columns = numElements(shape) / width;
    return { ...rowsOf(width, columns), firstElement: first * columns };
  }
  if (part === undefined || isContiguous(stored))
    return { ...rowsOf(numElements(shape), 1), firstElement: first };
  return { ...rowsOf(numElements(shape) / width, part.of), firstColumn: first, columns: width };
}

/** Bytes that are read at a time, and how many pieces of them. */
const pieceBytes = 4 * 2 ** 20;
const piecesAtATime = 4;
/** Rows that the engine turns round together, and of which it fills whole cache lines. */
const rowsTogether = [512, 64];

const elementBytes = ({ dtype }: FileRows): number =>
  Object.hasOwn(floatBytes, dtype) ? floatBytes[dtype as FloatDType] : dtypeBytes[dtype as DType];
const rowBytes = (rows: FileRows): number => rows.stride * elementBytes(rows);

/** At least one; whole groups of those that are turned round together, where there are several. */
function rowsOfPiece(rows: FileRows): number {
  const most = Math.max(1, Math.floor(pieceBytes / rowBytes(rows)));
  const together = rowsTogether.find((count) => count <= most) ?? 1;
  return Math.min(rows.numRows, most - (most % together));
}

interface Piece {
  readonly rows: FileRows;
  readonly first: number;
  readonly count: number;
}

function* piecesOf(all: readonly FileRows[]): Generator<Piece> {
  for (const rows of all)
    for (const { first, count } of pieces(rows.numRows, rowsOfPiece(rows))) yield { rows, first, count };
}

/**
 * Writes values from a file into an engine that has loaded their plan.
 * @throws ERR_COMPACT_CHECKPOINT_READ, _TRUNCATED, ERR_COMPACT_ABORTED; ERR_COMPACT_CHECKPOINT_INVALID for a number that is
 *   not finite, or not as the type of the value; of several, the first in the order of the rows
 */
export async function writeFileRows(
  engine: Pick<Engine, 'writeRows'>,
  file: TensorReader,
  all: readonly FileRows[],
  signal?: AbortSignal,
): Promise<void> {
  const bufferBytes = Math.max(0, ...all.map((rows) => rowsOfPiece(rows) * rowBytes(rows)));
  const waiting = piecesOf(all);
  const failures: { readonly place: number; readonly error: unknown }[] = [];
  let numTaken = 0;
  const lane = async (): Promise<void> => {
    const buffer = new Uint8Array(new SharedArrayBuffer(bufferBytes));
    for (;;) {
      const { done, value: piece } = failures.length > 0 ? { done: true, value: undefined } : waiting.next();
      if (done === true) return;
      const place = numTaken++;
      try {
        checkAborted(signal);
        await writePiece(engine, file, piece!, buffer);
      } catch (error) {
        failures.push({ place, error });
      }
    }
  };
  await Promise.all(Array.from({ length: piecesAtATime }, lane));
  const [earliest] = failures.sort((a, b) => a.place - b.place);
  if (earliest !== undefined) throw earliest.error;
}

async function writePiece(
  engine: Pick<Engine, 'writeRows'>,
  file: TensorReader,
  { rows, first, count }: Piece,
  buffer: Uint8Array,
): Promise<void> {
  const { value, tensor, dtype, stride, firstColumn, columns, isTransposed } = rows;
  const bytes = buffer.subarray(0, count * rowBytes(rows));
  await file.readInto(tensor, bytes, (rows.firstElement + first * stride) * elementBytes(rows));
  try {
    const layout = { dtype, stride, firstColumn, columns, firstRow: first, isTransposed };
    await engine.writeRows(value.name, bytes, layout);
  } catch (error) {
    // The engine says that there is such a number, and this is who finds it.
    if (isCompactError(error, 'ERR_COMPACT_NOT_FINITE') && isFloat(dtype)) {
      const to = value.dtype as 'f32' | 'bf16';
      checkedNumbers(bytes, dtype, to, notFinite(file.path, tensor, to));
    }
    throw error;
  }
}

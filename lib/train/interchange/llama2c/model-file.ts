// Files of llama2.c (github.com/karpathy/llama2.c, export.py): version 0, seven numbers and then all weights in f32, and
// version 1, with a magic number in front and the weights in another order. A head is tied where version 0 has a vocabulary
// above zero, and version 1 a flag. Rotary pairs stand beside each other; their base is 10000, the epsilon of norms 1e-5.
import type { FileHandle } from 'node:fs/promises';
import { compactError } from '../../../errors.js';
import {
  closeQuietly,
  onPath,
  openRegular,
  readFully,
  refusedPickle,
  type TensorReader,
} from '../../../formats/index.js';
import { numElements, type Model } from '../../../graph/index.js';
import { llama } from '../../../models/index.js';
import { pairsApart, reorderedRows } from '../../weights/row-order.js';
import { elementsOfFile } from '../../weights/tensor-files.js';
import { withMadeTensors, type MadeTensor } from '../tensor-view.js';
import { layoutOf, parseHeader, type Llama2cHeader } from './header.js';

/** A model in such a file; no weight has been read yet. */
export interface Llama2cModel {
  readonly model: Model;
  /** Under the names and in the layout of Hugging Face's checkpoints. */
  readonly weights: TensorReader;
}

/** @throws ERR_COMPACT_CHECKPOINT_READ, _TRUNCATED, _INVALID for what is no such file, as a pickle */
export function openLlama2c(path: string): Promise<Llama2cModel> {
  return onPath('ERR_COMPACT_CHECKPOINT_READ', path, async () => {
    const file = await openRegular(path);
    if (file === undefined) throw notLlama2c(path, 'no regular file');
    try {
      return await openModel(path, file);
    } catch (error) {
      await closeQuietly(file);
      throw error;
    }
  });
}

async function openModel(path: string, file: FileHandle): Promise<Llama2cModel> {
  const { size } = await file.stat();
  const start = new Uint8Array(256);
  const length = await readFully(file, start, 0);
  if (isPickled(start)) throw refusedPickle(path);
  const header = length < 28 ? undefined : parseHeader(start);
  if (header === undefined) throw notLlama2c(path, 'no header that is known');
  const { tensors, end } = entriesOf(header);
  if (size < end && header.version === 1)
    throw compactError('ERR_COMPACT_CHECKPOINT_TRUNCATED', `${path} is shorter than its header says`, {
      expected: `${end} bytes`,
      received: String(size),
      remedy: 'Download it again',
    });
  if (size !== end) throw notLlama2c(path, `${size} bytes, where its header makes ${end}`);
  const close = (): Promise<void> => closeQuietly(file);
  const files: TensorReader = {
    path,
    tensors,
    async readInto(name, target, byteOffset) {
      const begin = tensors.get(name)!.byteOffset + byteOffset;
      await onPath('ERR_COMPACT_CHECKPOINT_READ', path, () => readFully(file, target, begin));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  return { model: modelOf(header), weights: withPairsApart(files, header) };
}

/** Archives of PyTorch, and pickles before them. */
const isPickled = (start: Uint8Array): boolean =>
  start[0] === 0x80 || Buffer.from(start.subarray(0, 2)).toString('latin1') === 'PK';

const notLlama2c = (path: string, received: string): Error =>
  compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${path} is no file of llama2.c`, {
    op: 'checkpoint',
    expected: 'version 0 or 1 of its files, in f32',
    received,
    remedy: 'Name a folder with a config.json, or export the model again by llama2.c with --version 1',
  });

function entriesOf(header: Llama2cHeader) {
  let end = header.headerBytes;
  const entries = layoutOf(header).flatMap(({ name, shape }) => {
    const byteOffset = end;
    const byteLength = 4 * numElements(shape);
    end += byteLength;
    return name === undefined ? [] : [[name, { dtype: 'f32', shape, byteOffset, byteLength }] as const];
  });
  return { tensors: new Map(entries), end };
}

const modelOf = ({ dim, hiddenDim, layers, heads, kvHeads, vocab, length, isTied }: Llama2cHeader): Model =>
  llama({
    vocabSize: vocab,
    hiddenSize: dim,
    intermediateSize: hiddenDim,
    numHiddenLayers: layers,
    numAttentionHeads: heads,
    numKeyValueHeads: kvHeads,
    maxPositionEmbeddings: length,
    rmsNormEps: 1e-5,
    ropeTheta: 10000,
    tieWordEmbeddings: isTied,
  });

/** The rows of queries and keys as Hugging Face's files have them. */
function withPairsApart(files: TensorReader, { dim, heads }: Llama2cHeader): TensorReader {
  const turned = [...files.tensors].filter(([name]) => /\.[qk]_proj\./.test(name));
  const made = turned.map(([name, { shape }]): readonly [string, MadeTensor] => {
    const elements = reorderedRows(elementsOfFile(files, name, 4), shape[1]!, pairsApart(dim / heads));
    return [name, { dtype: 'f32', shape, elements }];
  });
  return withMadeTensors(files, new Map(made));
}

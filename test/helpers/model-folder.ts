/** Folders in the layout of Hugging Face's checkpoints, of random weights. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { byteTokenizer } from '../../lib/data/byte-tokenizer.js';
import { writeSafetensors } from '../../lib/formats/index.js';
import { modelFromPretrainedConfig, type Model } from '../../lib/models/index.js';
import { byTensor, parameterShapes, storedShape } from '../../lib/train/weights/model-weights.js';
import { shapeInFile } from '../../lib/train/weights/tensor-parts.js';
import { readModel } from './model-fixtures.js';
import { randomTensor } from './random.js';

/** A model of one of the recorded architectures, with the vocabulary of the byte tokenizer. */
export const modelOfBytes = (name: string, change: object = {}): Model =>
  modelFromPretrainedConfig({
    ...readModel(name).saved,
    vocab_size: byteTokenizer.vocabularySize,
    ...change,
  });

/** Writes such a folder, in f32, with the byte tokenizer's files or others. */
export async function writeModelFolder(
  path: string,
  model: Model,
  files: Readonly<Record<string, string>> = byteTokenizer.files(),
): Promise<string> {
  const shapes = parameterShapes(model);
  mkdirSync(path);
  const sources = [...byTensor(model.weights)].map(([name, [stored]]) => {
    const shape = shapeInFile(storedShape(stored!, shapes.get(stored!.parameter)!));
    const isNorm = shape.length === 1 && name.endsWith('weight');
    const values = Float32Array.from(randomTensor(name, [...shape]).data, (value) =>
      Math.fround((isNorm ? 1 : 0) + 0.2 * value),
    );
    return {
      name,
      dtype: 'f32' as const,
      shape,
      async *read() {
        yield new Uint8Array(values.buffer);
      },
    };
  });
  await writeSafetensors(join(path, 'model.safetensors'), sources, { format: 'pt' });
  const config = model.pretrainedConfig('f32', { eos: byteTokenizer.endOfTextId });
  for (const [name, content] of Object.entries({ 'config.json': JSON.stringify(config), ...files }))
    writeFileSync(join(path, name), content);
  return path;
}

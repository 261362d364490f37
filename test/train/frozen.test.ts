/** Parameters that are frozen by name keep their numbers, and have no states. */
import { expect, test } from '@jest/globals';
import { join } from 'node:path';
import { compile } from '../../lib/compile/index.js';
import { SafetensorsFile } from '../../lib/formats/index.js';
import { compact, dense, lora, methodFromDescription, type Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { Trainer } from '../../lib/train/index.js';
import { planTarget } from '../helpers/plan-target.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const frozen = ['model.layers.0.*', '*.norm.weight'];
const isFrozen = (name: string): boolean =>
  name.startsWith('model.layers.0.') || name === 'model.norm.weight';

async function tensorsOf(path: string, file: string): Promise<Map<string, string>> {
  await using opened = await SafetensorsFile.open(join(path, file));
  const tensors = new Map<string, string>();
  for (const name of opened.tensors.keys())
    tensors.set(name, Buffer.from(await opened.read(name)).toString('hex'));
  return tensors;
}

test.each<[string, Method]>([
  ['dense', dense({ frozen })],
  ['compact', compact({ rank: 8, frozen })],
])('%s trains all but what is frozen', async (name, method) => {
  const outputDirectory = join(folder, name);
  await using trainer = await Trainer.create(tinyRun(text, { method, outputDirectory, maxSteps: 3 }));
  // Norms start as ones, so where they began is read before the first step.
  const { path: first } = await trainer.save();
  const before = await tensorsOf(first, 'model.safetensors');
  const { checkpoint } = await trainer.run();
  const after = await tensorsOf(checkpoint!.path, 'model.safetensors');
  for (const [tensor, numbers] of after)
    expect([tensor, numbers === before.get(tensor)]).toEqual([tensor, isFrozen(tensor)]);
  const states = await tensorsOf(checkpoint!.path, 'optimizer.safetensors');
  expect([...states.keys()].filter((state) => isFrozen(state.replace(/\.exp_?avg.*/i, '')))).toEqual([]);
  expect(methodFromDescription(method.describe()).describe()).toEqual(method.describe());
  const parts = trainer.parts.filter(({ part }) => part === 'query');
  expect(parts).toHaveLength(2);
  for (const isTrained of [false, true])
    expect(parts).toContainEqual(expect.objectContaining({ isTrained, numTensors: 1 }));
});

test.each<[string, () => Method, object]>([
  [
    'a name that the model has not',
    () => dense({ frozen: ['model.norm.weights'] }),
    { op: 'frozen', remedy: "Did you mean 'model.norm.weight'?" },
  ],
  ['everything', () => dense({ frozen: ['*'] }), { op: 'frozen', received: '*' }],
  ['all adapters', () => lora({ frozen: ['*lora_*'] }), { op: 'frozen' }],
])('freezing %s is refused', (_, method, error) => {
  const options = { model: llama(tinyConfig), target: planTarget, dtype: 'f32' } as const;
  expect(() => compile({ ...options, method: method(), batchSize: 1, sequenceLength: 8 })).toThrow(
    expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', ...error }),
  );
});

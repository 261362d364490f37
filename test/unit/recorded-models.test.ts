/** What holds for every architecture, with the configurations of test/fixtures/models. */
import { describe, expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { Graph, numElements } from '../../lib/graph/index.js';
import { compact, dense, lora, mesa } from '../../lib/methods/index.js';
import { modelFromDescription, modelFromPretrainedConfig } from '../../lib/models/index.js';
import { readTensors } from '../helpers/fixtures.js';
import { asInFile, readModel, readParameters, recordedModels } from '../helpers/model-fixtures.js';
import { planTarget } from '../helpers/plan-target.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';

const shape = { batchSize: 1, sequenceLength: 4 } as const;

describe.each(recordedModels)('%s', (name) => {
  const { config, saved } = readModel(name);
  const model = modelFromPretrainedConfig(config);
  const graph = new Graph();
  model.build(graph, { ...shape, dtype: 'f32', purpose: 'train' });
  const shapes = new Map(graph.parameters.map((parameter) => [parameter.name, parameter.shape]));

  test('config.json as transformers write it, as it is written here, and its description are the same model', () => {
    const described = model.describe();
    expect(modelFromPretrainedConfig(saved).describe()).toEqual(described);
    const written = JSON.parse(JSON.stringify(model.pretrainedConfig('bf16'))) as object;
    expect(modelFromPretrainedConfig(written).describe()).toEqual(described);
    const description = JSON.parse(JSON.stringify(described)) as Record<string, unknown>;
    expect(modelFromDescription(description).describe()).toEqual(described);
  });

  test('every parameter is counted and stands once in the weight map', () => {
    const sizes = [...shapes.values()].map(numElements);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(model.numParameters);
    expect(model.weights.map(({ parameter }) => parameter).sort()).toEqual([...shapes.keys()].sort());
  });

  test('files hold the tensors of the weight map and no others, in its layout', () => {
    const parameters = readParameters(name, model);
    for (const [parameter, { shape: found }] of parameters)
      expect([parameter, found]).toEqual([parameter, shapes.get(parameter)]);
    expect(asInFile(model, parameters)).toEqual(readTensors(`models/${name}.safetensors`));
  });

  test.each([
    ['compact', compact({ rank: 8 })],
    ['lora', lora({ r: 4 })],
    ['mesa', mesa()],
  ])('is planned with %s and every policy', (_name, method) => {
    for (const recompute of ['none', 'cheap', 'layer'] as const)
      for (const accumulateGradients of [false, true]) {
        const plan = compile({
          ...{ model, method, recompute, accumulateGradients, ...shape, target: planTarget },
          dtype: 'bf16',
        });
        expect(plan.peakBytes).toBeGreaterThan(0);
      }
  });

  test('gradients of every parameter are derivatives', () => {
    const trainer = new TwinTrainer(model, dense(), shape);
    const { gradients } = trainer.gradients('batch');
    expect([...gradients.keys()].sort()).toEqual([...shapes.keys()].sort());
    for (const [parameter, gradient] of gradients) {
      const { data } = trainer.persistent.get(parameter)!;
      // Along one direction that involves every element; step and tolerance as for central differences of order 2.
      const step = 1e-6;
      const direction = data.map((_, element) => Math.cos(element + 1));
      const [above, below] = [step, -step].map((shift) => {
        const original = data.slice();
        direction.forEach((part, element) => (data[element] = original[element]! + shift * part));
        const { loss } = trainer.gradients('batch');
        data.set(original);
        return loss;
      }) as [number, number];
      const expected = gradient.data.reduce((sum, value, element) => sum + value * direction[element]!, 0);
      expect(Math.abs((above - below) / (2 * step) - expected)).toBeLessThan(2e-8);
    }
  });
});

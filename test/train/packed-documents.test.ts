/** Documents packed into sequences train as each of them does in a sequence of its own. */
import { describe, expect, test } from '@jest/globals';
import { compile, type Plan } from '../../lib/compile/index.js';
import { ignoreIndex } from '../../lib/data/index.js';
import { layOut, packRecords } from '../../lib/data/records/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama, modelFromPretrainedConfig } from '../../lib/models/index.js';
import { cpuTarget, cudaTarget, Engine } from '../../lib/runtime/index.js';
import { cudaDevice, isOnGpu } from '../helpers/machines.js';
import { readModel, readParameters } from '../helpers/model-fixtures.js';
import { planTarget } from '../helpers/plan-target.js';
import { randomIntegers } from '../helpers/random.js';
import { parameterNames, putWeights, readValues } from '../helpers/whole-model.js';

type Device = 'cpu' | typeof cudaDevice;
type Inputs = Readonly<Record<string, Int32Array>>;

const sequenceLength = 13;
/** Two sequences without room, and one that ends in padding. */
const lengths = [5, 13, 6, 1, 2, 9];
const onCpu = ['llama3', 'qwen2', 'qwen3', 'mistral-window', 'phi3', 'gemma2-window', 'gpt2'];
const cases: [string, Device][] = [
  ...(isOnGpu ? [] : onCpu.map((name): [string, Device] => [name, 'cpu'])),
  ...['llama3', 'mistral-window', 'gpt2'].map((name): [string, Device] => [name, cudaDevice]),
];

describe.each(cases)('%s on %s', (name, device) => {
  const model = modelFromPretrainedConfig(readModel(name).config);
  const parameters = readParameters(name, model);
  const records = lengths.map((length, i) => ({
    ids: Int32Array.from(randomIntegers(`document ${i}`, [length], model.vocabularySize).data),
    counts: new Uint8Array(length).fill(1),
  }));
  const numCounted = lengths.reduce((sum, length) => sum + length - 1, 0);

  /** The inputs of some documents, and of documents in sequences of their own. */
  const laidOut = (chosen: typeof records, length: number): { inputs: Inputs; count: number } => {
    const sizes = chosen.map(({ ids }) => ids.length);
    const { sequences } = packRecords(sizes, length);
    const rows = sequences.map((parts) => {
      const together = parts.map(({ record }) => chosen[record]!);
      return layOut(together, length, 0);
    });
    const field = (key: 'tokens' | 'targets' | 'positions' | 'firstKeys') =>
      Int32Array.from(rows.flatMap((row) => [...row[key]]));
    const text = { tokens: field('tokens'), targets: field('targets') };
    const isPacked = sequences.some((parts) => parts.length > 1);
    const places = { positions: field('positions'), firstKeys: field('firstKeys') };
    return { inputs: isPacked ? { ...text, ...places } : text, count: rows.length };
  };

  async function withModel<T>(
    options: { batchSize: number; sequenceLength: number; isPacked: boolean },
    body: (engine: Engine, plan: Plan) => Promise<T>,
  ): Promise<T> {
    const plan = compile({
      ...{ model, method: dense(), dtype: 'f32', accumulateGradients: true, lossChunkTokens: 16 },
      target: device === 'cpu' ? cpuTarget({ threads: 1 }) : cudaTarget(device),
      entries: ['train', 'evaluate'],
      ...options,
    });
    await using engine = await Engine.open({ device, threads: 1 });
    await engine.load(plan);
    await putWeights(engine, plan, parameters, model.constants(options.sequenceLength));
    return await body(engine, plan);
  }

  /** What a loss over all documents makes of the gradients of some, and their loss. */
  async function gradients(engine: Engine, plan: Plan, inputs: Inputs) {
    const scalars = { accumulate: 0, lossScale: 1 / numCounted };
    const { outputs } = await engine.run('accumulate', { inputs, scalars });
    const found = new Map<string, Float64Array>();
    for (const parameter of parameterNames(plan))
      found.set(parameter, await readValues(engine, plan, `${parameter}.gradient`));
    return { loss: outputs['loss']![0]!, found };
  }

  /** Of every token its loss when it alone counts: the likelihood that its logits give to what follows. */
  async function lossesOfTokens(
    engine: Engine,
    { targets, ...inputs }: Inputs,
  ): Promise<Map<string, number>> {
    const losses = new Map<string, number>();
    for (const [at, target] of targets!.entries()) {
      if (target === ignoreIndex) continue;
      const alone = new Int32Array(targets!.length).fill(ignoreIndex);
      alone[at] = target;
      const run = { inputs: { ...inputs, targets: alone }, scalars: { lossScale: 1 } };
      losses.set(`${at}`, (await engine.run('evaluate', run)).outputs['loss']![0]!);
    }
    return losses;
  }

  test('loss, logits and gradients are those of the documents alone', async () => {
    const all = laidOut(records, sequenceLength);
    const size = { batchSize: all.count, sequenceLength, isPacked: true };
    const packed = await withModel(size, async (engine, plan) => ({
      ...(await gradients(engine, plan, all.inputs)),
      losses: device === 'cpu' ? [...(await lossesOfTokens(engine, all.inputs)).values()] : [],
    }));
    let loss = 0;
    const losses: number[] = [];
    const sums = new Map<string, Float64Array>();
    for (const record of records) {
      if (record.ids.length === 1) continue; // predicts nothing
      const length = record.ids.length;
      const { inputs } = laidOut([record], length);
      await withModel({ batchSize: 1, sequenceLength: length, isPacked: false }, async (engine, plan) => {
        const alone = await gradients(engine, plan, inputs);
        loss += alone.loss;
        for (const [parameter, values] of alone.found)
          sums.set(
            parameter,
            values.map((value, i) => value + (sums.get(parameter)?.[i] ?? 0)),
          );
        if (device === 'cpu') losses.push(...(await lossesOfTokens(engine, inputs)).values());
      });
    }
    expect(Math.abs(packed.loss - loss)).toBeLessThan(1e-5 * loss);
    const sorted = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);
    const [found, right] = [sorted(packed.losses), sorted(losses)];
    expect(found).toHaveLength(right.length);
    for (const [i, value] of right.entries())
      expect(Math.abs(found[i]! - value)).toBeLessThan(1e-5 * Math.max(1, value));
    const largest = Math.max(...[...sums.values()].map((values) => Math.max(...values.map(Math.abs))));
    for (const [parameter, values] of sums)
      values.forEach((value, i) => {
        const difference = Math.abs(packed.found.get(parameter)![i]! - value);
        if (!(difference < 1e-5 * largest)) throw new Error(`${parameter}[${i}] differs by ${difference}`);
      });
  });
});

test('a model that cannot be told where documents begin is refused', () => {
  const { packedFields: _, ...model } = llama('llama-demo');
  expect(() =>
    compile({
      ...{ model, method: dense(), target: planTarget, dtype: 'f32' },
      ...{ batchSize: 1, sequenceLength: 8, isPacked: true },
    }),
  ).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'isPacked' }));
});

/** Architectures on the CPU engine and the CUDA backend, with the checkpoints that transformers save, against what transformers compute. */
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions, type Plan } from '../../lib/compile/index.js';
import { dense } from '../../lib/methods/index.js';
import { modelFromPretrainedConfig } from '../../lib/models/index.js';
import { cpuTarget, cudaTarget, Engine, type HostArray } from '../../lib/runtime/index.js';
import { cudaDevice, isOnGpu } from '../helpers/machines.js';
import type { ModelComparison } from '../../bench/parity/model-parity.js';
import { tellParity } from '../helpers/parity-rows.js';
import { expectNear, movedBy, summaryIn } from '../helpers/recorded-training.js';
import { inputsOf, readModel, readParameters, recordedModels } from '../helpers/model-fixtures.js';
import {
  largestDifference,
  logitsOfTokens,
  type Machine,
  putWeights,
  trainTiny,
} from '../helpers/whole-model.js';

const threads = 2;

/** The emulation is slow: of each form one model is enough for it, that which is trained. */
type Device = 'cpu' | typeof cudaDevice;
const devicesOf = (name: string): Device[] =>
  isOnGpu ? [cudaDevice] : readModel(name).training === undefined ? ['cpu'] : ['cpu', cudaDevice];
const cases = recordedModels.flatMap((name) =>
  devicesOf(name).map((device): [string, Device] => [name, device]),
);

describe.each(cases)('%s on %s', (name, device) => {
  const recorded = readModel(name);
  const model = modelFromPretrainedConfig(recorded.config);
  const parameters = readParameters(name, model);
  const weights = { model, parameters };
  const { sequences = 1 } = recorded;
  const sequenceLength = recorded.tokens.length / sequences;
  const method = dense(recorded.training?.adam);

  async function withModel(
    options: Partial<CompileOptions>,
    body: (engine: Machine, plan: Plan) => Promise<void>,
  ) {
    const plan = compile({
      ...{ model, method, sequenceLength, batchSize: 1, dtype: 'f32', lossChunkTokens: 16 },
      target: device === 'cpu' ? cpuTarget({ threads }) : cudaTarget(device),
      ...options,
    });
    const engine = await Engine.open({ device, threads });
    try {
      await engine.load(plan);
      await putWeights(engine, plan, parameters, model.constants(sequenceLength));
      await body(engine, plan);
    } finally {
      await engine.close();
    }
  }

  /** The logits of every row, one after the other: of the positions of a sequence, or of sequences. */
  async function logits(dtype: 'f32' | 'bf16'): Promise<number[]> {
    const found: number[] = [];
    await withModel({ dtype, entries: ['generate'] }, async (engine) => {
      if (model.isCausal === true) {
        for (const logits of await logitsOfTokens(engine, recorded.tokens)) found.push(...logits);
        return;
      }
      const all = Object.entries<HostArray>(inputsOf(model, recorded));
      for (const row of recorded.logits.keys()) {
        const first = sequences === 1 ? 0 : row * sequenceLength;
        const own = all.map(([name, values]) => [name, values.slice(first, first + sequenceLength)] as const);
        const scalars = sequences === 1 ? { row } : {};
        const { outputs } = await engine.run('generate', { inputs: Object.fromEntries(own), scalars });
        found.push(...outputs.logits!);
      }
    });
    return found;
  }

  const tell = (compared: ModelComparison, value: number) =>
    tellParity({ fixture: name, device, compared, value });

  test('logits of every position', async () => {
    const right = recorded.logits.flat();
    const largest = Math.max(...right.map(Math.abs));
    const difference = largestDifference(await logits('f32'), right);
    tell('logits', difference / largest);
    expect(difference).toBeLessThan(1e-5 * largest);
  });

  test('logits of all rows of a sequence at once', async () => {
    const found: number[] = [];
    await withModel({ entries: ['predict'] }, async (engine) => {
      const all = Object.entries<HostArray>(inputsOf(model, recorded));
      for (let sequence = 0; sequence < sequences; sequence++) {
        const first = sequence * sequenceLength;
        const own = all.map(([name, values]) => [name, values.slice(first, first + sequenceLength)] as const);
        found.push(...(await engine.run('predict', { inputs: Object.fromEntries(own) })).outputs.logits!);
      }
    });
    const right = recorded.logits.flat(); // not of padding at the end
    const differences = largestDifference(found.slice(0, right.length), right);
    expect(differences).toBeLessThan(1e-5 * Math.max(...right.map(Math.abs)));
  });

  test('logits in bf16 err at most twice as much as those of transformers in bf16', async () => {
    const found = await logits('bf16');
    const error = Math.hypot(...recorded.logits.flat().map((right, index) => found[index]! - right));
    tell('bf16 logits', error / recorded.naiveErrors.bf16);
    expect(error).toBeLessThan(2 * recorded.naiveErrors.bf16);
  });

  if (recorded.training === undefined) return;
  const { batches, learningRates, losses, gradients, after, naiveErrors } = recorded.training;
  const data = batches.map((batch) => ({
    inputs: inputsOf(model, batch),
    numCountedTokens: (batch.targets ?? batch.labels!).filter((target) => target !== -100).length,
  }));
  const batchSize = batches[0]!.tokens.length / sequenceLength;

  test('gradients of every parameter', async () => {
    await withModel({ batchSize, accumulateGradients: true }, async (engine, plan) => {
      const { inputs, numCountedTokens } = data[0]!;
      const scalars = { accumulate: 0, lossScale: 1 / numCountedTokens };
      const { outputs } = await engine.run('accumulate', { inputs, scalars });
      expect(Math.abs(outputs.loss![0]! - losses[0]!)).toBeLessThan(
        2 * naiveErrors.losses + 2 ** -22 * losses[0]!,
      );
      const found = await summaryIn(engine, plan, weights, '.gradient');
      tell('gradients', expectNear(found, gradients, naiveErrors.gradients));
    });
  });

  test('three steps of AdamW', async () => {
    await withModel({ batchSize, entries: ['train'] }, async (engine, plan) => {
      const found = await trainTiny(engine, plan, method, { microBatches: 1, learningRates }, data);
      expect(largestDifference(found.losses, losses)).toBeLessThan(
        2 * naiveErrors.losses + 2 ** -22 * losses[0]!,
      );
      const moved = movedBy(gradients, await summaryIn(engine, plan, weights));
      tell('three steps', expectNear(moved, movedBy(gradients, after), naiveErrors.after));
    });
  });
});

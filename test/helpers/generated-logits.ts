/** Logits of the last token of a sequence, by an engine with the weights of a folder or of a checkpoint. */
import { join } from 'node:path';
import { compile, type Plan } from '../../lib/compile/index.js';
import { dense, methodFromDescription, type Method } from '../../lib/methods/index.js';
import { modelFromDescription, type Model } from '../../lib/models/index.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';
import { openBaseModel } from '../../lib/train/weights/base-model.js';
import { readState } from '../../lib/train/checkpoints/checkpoint-state.js';
import { loadModel } from '../../lib/train/index.js';
import { loadTensors, openTensors } from '../../lib/train/weights/tensor-files.js';
import { logitsOfTokens } from './whole-model.js';

async function logitsOf(
  model: Model,
  method: Method,
  tokens: readonly number[],
  load: (engine: Engine, plan: Plan) => Promise<void>,
): Promise<Float32Array> {
  const plan = compile({
    model,
    method,
    dtype: 'f32',
    batchSize: 1,
    sequenceLength: tokens.length,
    target: cpuTarget({ threads: 1 }),
    entries: ['generate'],
  });
  await using engine = await Engine.open({ device: 'cpu', threads: 1 });
  await engine.load(plan);
  for (const [name, data] of Object.entries(model.constants(tokens.length)))
    if (plan.values.some((value) => value.name === name)) await engine.write(name, data);
  await load(engine, plan);
  return (await logitsOfTokens(engine, tokens)).at(-1) as Float32Array;
}

/** Of a checkpoint of a run in f32, with the forward pass of its method. */
export async function logitsOfCheckpoint(
  checkpoint: string,
  tokens: readonly number[],
): Promise<Float32Array> {
  const state = await readState(checkpoint);
  const model = modelFromDescription(state.model);
  return await logitsOf(model, methodFromDescription(state.method), tokens, async (engine, plan) => {
    const name = 'model.safetensors';
    await using file = await openTensors(join(checkpoint, name), plan, model, name);
    await loadTensors(engine, plan, model, name, file);
  });
}

/** Of a folder in the layout of Hugging Face's checkpoints, in f32. */
export async function logitsOfFolder(folder: string, tokens: readonly number[]): Promise<Float32Array> {
  const model = loadModel(folder);
  await using base = await openBaseModel(folder, model);
  return await logitsOf(model, dense(), tokens, (engine, plan) => base.loadInto(engine, plan));
}

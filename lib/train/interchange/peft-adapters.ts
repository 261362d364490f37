import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compactError } from '../../errors.js';
import { refusedPickle, SafetensorsFile } from '../../formats/index.js';
import type { Model, StoredParameter } from '../../graph/index.js';
import { isAdapted } from '../../methods/adaptation/low-rank-adapter.js';
import { byTensor, parametersOf } from '../weights/model-weights.js';
import { checkFactor, readSingles, type Adapter, type Adapters } from './adapters.js';
import { adapterFileName, ofModule, readPeftConfig, type PeftConfig } from './peft-config.js';
import { factorIn, moduleOfFactor } from './peft-names.js';

/** Adapters in a folder of Hugging Face's PEFT, held against a model; no number has been read yet. */
export interface AdapterFolder extends AsyncDisposable {
  readonly path: string;
  readonly config: PeftConfig;
  readonly adapters: Adapters;
}

/**
 * Opens adapter_config.json and adapter_model.safetensors. A tensor of a model that holds several weights side by side, as
 * fused products do, has one adapter there: each weight then has its rows of B, and the whole A.
 * @param op the option that names the folder, for the error
 * @throws ERR_COMPACT_CHECKPOINT_*: _MISMATCH for adapters of another model, naming the modules, _INVALID for a pickle;
 *   ERR_COMPACT_CONFIG_*
 */
export async function openAdapterFolder(path: string, model: Model, op: string): Promise<AdapterFolder> {
  const config = await readPeftConfig(path);
  const files = await openFactors(path);
  try {
    const adapters = adaptersIn(files, model, config, op);
    return { path, config, adapters, [Symbol.asyncDispose]: () => files.close() };
  } catch (error) {
    await files.close();
    throw error;
  }
}

async function openFactors(folder: string): Promise<SafetensorsFile> {
  const file = join(folder, adapterFileName);
  const pickle = join(folder, 'adapter_model.bin');
  const has = async (path: string): Promise<boolean> =>
    (await stat(path).catch(() => undefined)) !== undefined;
  if (!(await has(file)) && (await has(pickle))) throw refusedPickle(pickle, 'adapters');
  return SafetensorsFile.open(file);
}

function adaptersIn(files: SafetensorsFile, model: Model, config: PeftConfig, op: string): Adapters {
  const shapes = new Map(
    parametersOf(model)
      .filter((parameter) => isAdapted(parameter, { targetModules: 'all-linear' }))
      .map(({ name, shape }) => [name, shape as [number, number]]),
  );
  const linear = byTensor(model.weights.filter(({ parameter }) => shapes.has(parameter)));
  const modules = new Set<string>();
  const unplaced: string[] = [];
  for (const name of files.tensors.keys()) {
    const module = moduleOfFactor(name);
    if (module !== undefined && linear.has(`${module}.weight`)) modules.add(module);
    else unplaced.push(name);
  }
  const adapters = new Map(
    [...modules].flatMap((module) =>
      adaptersOf(files, module, linear.get(`${module}.weight`)!, shapes, config),
    ),
  );
  if (unplaced.length === 0 && adapters.size > 0) return adapters;
  throw compactError('ERR_COMPACT_CHECKPOINT_MISMATCH', `the adapters of ${files.path} are not the model's`, {
    op,
    expected: `lora_A and lora_B of linear layers of ${model.name}`,
    received: unplaced.length > 0 ? unplaced.slice(0, 4).join(', ') : 'no factors at all',
    remedy: `Name the model that they were trained for${nameOf(config)}`,
    details: { unexpected: unplaced },
  });
}

const nameOf = ({ base_model_name_or_path: name }: PeftConfig): string =>
  name === undefined || name === '' ? '' : `: ${name}`;

/** The adapters of a module's weights, by parameter. */
function adaptersOf(
  files: SafetensorsFile,
  module: string,
  stored: readonly StoredParameter[],
  shapes: ReadonlyMap<string, readonly [number, number]>,
  { r, lora_alpha, use_rslora, rank_pattern, alpha_pattern }: PeftConfig,
): readonly (readonly [string, Adapter])[] {
  const rank = ofModule(rank_pattern, module, r);
  const alpha = ofModule(alpha_pattern, module, lora_alpha);
  const [inputs] = shapes.get(stored[0]!.parameter)!;
  const outputs = stored[0]!.part?.of ?? shapes.get(stored[0]!.parameter)![1];
  const names = { a: factorIn(module, 'A'), b: factorIn(module, 'B') };
  const dtype = checkFactor(files, names.a, [rank, inputs]);
  checkFactor(files, names.b, [outputs, rank]);
  return stored.map(({ parameter, part }) => {
    const first = part?.first ?? 0;
    const [, width] = shapes.get(parameter)!;
    const factors: Adapter['factors'] = async () => ({
      a: await readSingles(files, names.a),
      b: (await readSingles(files, names.b)).subarray(first * rank, (first + width) * rank),
    });
    return [parameter, { rank, scale: alpha / (use_rslora ? Math.sqrt(rank) : rank), dtype, factors }];
  });
}

import { compactError } from '../../errors.js';
import { isFloat, openWeights, type FloatDType, type TensorReader } from '../../formats/index.js';
import { Graph, type Model, type StoredParameter, type Value, type WeightMap } from '../../graph/index.js';
import { shapeInFile, type StoredShape } from './tensor-parts.js';

/** What files may do without. */
export interface TensorRules {
  /** Whether the model's own head has to be there, and none of another task. Default true. */
  readonly isWhole?: boolean;
}

/**
 * Opens the files of a model's weights and holds them against it.
 * @param path a folder with model.safetensors or its shards, or one file
 * @param op the option that names them, for the error
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, _READ, _TRUNCATED, _INVALID, or _MISMATCH with all names in `details`
 */
export async function openModelWeights(
  path: string,
  model: Model,
  op: string,
  rules?: TensorRules,
): Promise<TensorReader> {
  const files = renamed(await openWeights(path), model);
  try {
    checkTensors(files, model, op, rules);
    return files;
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** Tables and masks that models compute anew; older files hold them. */
const isComputed = (name: string): boolean => /\.(rotary_emb\.inv_freq|attn\.(masked_)?bias)$/.test(name);

/** Norms of the first BERTs have names of their own. */
const presentName = (name: string): string =>
  name.replace(/\.LayerNorm\.gamma$/, '.LayerNorm.weight').replace(/\.LayerNorm\.beta$/, '.LayerNorm.bias');

/** Files under the names that their tensors have today, and in a whole model where they are of a body alone, as GPT-2 is published. */
function renamed(files: TensorReader, { bodyPrefix, weights }: Model): TensorReader {
  const names = [...files.tensors.keys()];
  const isWhole = bodyPrefix === undefined || names.some((name) => name.startsWith(bodyPrefix));
  if (isWhole && names.every((name) => presentName(name) === name)) return files;
  const ofModel = new Set(weights.map(({ tensor }) => tensor));
  const nameOf = (name: string): string => (isWhole || ofModel.has(name) ? name : bodyPrefix + name);
  const ownNames = new Map(names.map((name) => [nameOf(presentName(name)), name]));
  return {
    path: files.path,
    tensors: new Map([...ownNames].map(([name, own]) => [name, files.tensors.get(own)!])),
    readInto: (name, target, byteOffset) => files.readInto(ownNames.get(name)!, target, byteOffset),
    close: () => files.close(),
    [Symbol.asyncDispose]: () => files.close(),
  };
}

/**
 * Every tensor of the model is there, in its shape and in floating point, and nothing that the model has no place for.
 * @param op the option that names the files, for the error
 * @throws ERR_COMPACT_CHECKPOINT_MISMATCH with all names in `details`
 */
export function checkTensors(
  files: TensorReader,
  model: Model,
  op: string,
  { isWhole = true }: TensorRules = {},
): void {
  const shapes = parameterShapes(model);
  const missing: string[] = [];
  const wrong: string[] = [];
  const known = new Set<string>();
  for (const stored of model.weights) {
    const expected = shapeInFile(storedShape(stored, shapes.get(stored.parameter)!));
    const tied = (stored.tiedTensors ?? []).filter((name) => files.tensors.has(name));
    for (const name of [stored.tensor, ...tied]) {
      if (known.has(name)) continue; // another part of it
      known.add(name);
      const found = files.tensors.get(name);
      if (found === undefined && stored.isOwnHead && !isWhole) continue;
      if (found === undefined) missing.push(name);
      else if (!isFloat(found.dtype) || found.shape.join() !== expected.join())
        wrong.push(`${name}: ${found.dtype} (${found.shape.join(', ')}), not (${expected.join(', ')})`);
    }
  }
  const isOther = (name: string): boolean =>
    !isWhole && (model.otherHeads ?? []).some((prefix) => name.startsWith(prefix));
  const unexpected = [...files.tensors]
    .filter(([name, { dtype }]) => isFloat(dtype) && !known.has(name) && !isComputed(name) && !isOther(name))
    .map(([name]) => name);
  if (missing.length + wrong.length + unexpected.length === 0) return;
  const found = [
    ...(missing.length > 0 ? [`without ${listed(missing)}`] : []),
    ...(wrong.length > 0 ? [`with ${listed(wrong)}`] : []),
    ...(unexpected.length > 0 ? [`with ${listed(unexpected)}, which the model has no place for`] : []),
  ];
  throw compactError('ERR_COMPACT_CHECKPOINT_MISMATCH', `the weights of ${files.path} are not the model's`, {
    op,
    expected: `the ${model.weights.length} tensors of ${model.name}, in its shapes and floating point`,
    received: found.join('; '),
    remedy: remedyFor(missing, wrong, unexpected),
    details: { missing, wrong, unexpected },
  });
}

function remedyFor(
  missing: readonly string[],
  wrong: readonly string[],
  unexpected: readonly string[],
): string {
  if (unexpected.some((name) => /\.lora_[AB]\./.test(name)))
    return 'Merge the adapters into the weights first, or start from the model that they were trained for';
  if (missing.join() === 'lm_head.weight' && wrong.length + unexpected.length === 0)
    return 'If its head is the embedding table, set tieWordEmbeddings: true';
  return 'Leave out model, so that the config.json beside these files is used, or download both again';
}

const listed = (names: readonly string[]): string =>
  names.length <= 4 ? names.join(', ') : `${names.slice(0, 4).join(', ')} and ${names.length - 4} more`;

/** The parameters, as the model builds them for logits: a loss may need more than one sequence. */
export function parametersOf(model: Model): readonly Value[] {
  const graph = new Graph();
  model.build(graph, { batchSize: 1, sequenceLength: 1, dtype: 'f32', purpose: 'predict' });
  return graph.parameters;
}

/** Their shapes by name. */
export const parameterShapes = (model: Model): ReadonlyMap<string, readonly number[]> =>
  new Map(parametersOf(model).map(({ name, shape }) => [name, shape]));

export const storedShape = ({ layout, part }: StoredParameter, shape: readonly number[]): StoredShape => ({
  shape,
  isTransposed: layout === 'transposed',
  part,
});

const byFirstFeature = (a: StoredParameter, b: StoredParameter): number =>
  (a.part?.first ?? 0) - (b.part?.first ?? 0);

/** Parameters by the tensor of a file that they stand in, those of one tensor in the order in which they stand there. */
export function byTensor(weights: WeightMap): ReadonlyMap<string, readonly StoredParameter[]> {
  const groups = new Map<string, StoredParameter[]>();
  for (const stored of weights)
    groups.set(stored.tensor, [...(groups.get(stored.tensor) ?? []), stored].sort(byFirstFeature));
  return groups;
}

/** The type of most of the numbers. */
export function commonDType({ tensors }: TensorReader): FloatDType {
  const bytes = new Map<FloatDType, number>();
  for (const { dtype, byteLength } of tensors.values())
    if (isFloat(dtype)) bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength);
  return [...bytes].reduce((most, other) => (other[1] > most[1] ? other : most))[0];
}

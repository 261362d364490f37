import { compactError } from '../../errors.js';
import type { Program, Value } from '../../graph/index.js';
import { oneOf, optional, type OptionTable } from '../../options.js';
import { adaptableRoles } from '../adaptation/adapter-options.js';
import { factorOf } from '../adaptation/low-rank-adapter.js';
import type { MethodParts } from '../preset.js';
import { int8Aware } from './int8-aware.js';
import { int8 } from './int8.js';
import { nf4 } from './nf4.js';
import { withWeightFormats, type WeightFormat } from './weights.js';

const formats = { int8, 'int8-aware': int8Aware, nf4 } as const;
const weightFormats = ['dtype', 'int8', 'int8-aware', 'nf4'] as const;

/** How weights stand in memory. */
export interface WeightOptions {
  /**
   * Weights of linear layers: as the dtype of the run, in int8 groups, as the dtype but read as the int8 groups that they would
   * be rounded to, or in NF4 where they are not trained. Default 'dtype'; 'nf4' of `qlora`.
   */
  readonly weights?: (typeof weightFormats)[number];
  /** Embedding table and head, where they are not trained. Default 'dtype'. */
  readonly embeddingWeights?: 'dtype' | 'int8';
}

/** Rows of the options, with the default of a preset. */
export const weightTable = (
  weights: Required<WeightOptions>['weights'] = 'dtype',
): OptionTable<WeightOptions> => ({
  weights: optional(oneOf(weightFormats), weights),
  embeddingWeights: optional(oneOf(['dtype', 'int8']), 'dtype'),
});

/**
 * The rewrite of what models build that puts weights into their formats, after the method's own; adapters stay as they
 * are, and so does what NF4 and int8 tables cannot hold because it is trained.
 * @throws ERR_COMPACT_CONFIG_VALUE for parts that cannot do with the formats
 */
export function weightRewrite(
  method: string,
  options: Required<WeightOptions>,
  parts: Pick<MethodParts, 'adaptation'>,
  optimizer: { readonly name: string; readonly stepsInt8?: boolean },
): ((forward: Program) => Program) | undefined {
  const { weights, embeddingWeights } = options;
  if (weights === 'dtype' && embeddingWeights === 'dtype') return undefined;
  checkParts(method, options, parts, optimizer);
  const isTrained = (weight: Value) => parts.adaptation?.isTrained(weight) ?? true;

  function formatOf(weight: Value): WeightFormat | undefined {
    const { role } = weight.parameter!;
    if (role === 'embedding' || role === 'head')
      return embeddingWeights === 'dtype' || isTrained(weight) ? undefined : formats[embeddingWeights];
    const isLayer = (adaptableRoles as readonly string[]).includes(role) && factorOf(weight) === undefined;
    if (!isLayer || weights === 'dtype' || (weights === 'nf4' && isTrained(weight))) return undefined;
    return formats[weights];
  }

  return (forward) => withWeightFormats(forward, formatOf);
}

function checkParts(
  method: string,
  { weights, embeddingWeights }: Required<WeightOptions>,
  { adaptation }: Pick<MethodParts, 'adaptation'>,
  optimizer: { readonly name: string; readonly stepsInt8?: boolean },
): void {
  const refuse = (op: string, received: string, why: string, expected: string) => {
    throw compactError('ERR_COMPACT_CONFIG_VALUE', why, { op, expected, received });
  };
  const { trains = { layers: false, embeddingAndHead: false } } = adaptation ?? {
    trains: { layers: true, embeddingAndHead: true },
  };
  if (!trains.layers && weights === 'int8-aware')
    refuse(
      'weights',
      weights,
      `${method} does not train its weights, which learn nothing of how they are rounded`,
      "'dtype', 'int8' or 'nf4', or a method that trains weights, such as dense or compact",
    );
  if (adaptation?.needsNumbersBecause !== undefined)
    refuse(
      'weights',
      weights,
      `${method} does not work with weights in codes: ${adaptation.needsNumbersBecause}`,
      "'dtype'",
    );
  if (trains.layers && weights === 'nf4')
    refuse(
      'weights',
      weights,
      `${method} trains its weights, and NF4 is for such as are not trained`,
      "'dtype' or 'int8', or a method with adapters: qlora, lora, lora-fa",
    );
  if (trains.embeddingAndHead && embeddingWeights === 'int8')
    refuse(
      'embeddingWeights',
      embeddingWeights,
      `${method} trains embedding and head, and int8 is for such as are not trained`,
      "'dtype', or a method with adapters: qlora, lora, lora-fa",
    );
  if (trains.layers && weights === 'int8' && !optimizer.stepsInt8)
    refuse(
      'optimizer',
      optimizer.name,
      `${optimizer.name} cannot round to weights in int8`,
      "an optimizer that can, such as adamw, or weights 'dtype'",
    );
}

import { compactError, nearestName } from '../../errors.js';
import {
  checkOptions,
  flag,
  numberAbove,
  optional,
  ownValues,
  shown,
  wholeNumber,
  type OptionTable,
} from '../../options.js';
import { checkRopeScaling, ropeScaling, type Rope, type RopeScaling } from './rope-scaling.js';

/** The shape of a decoder, in the words of Hugging Face's config.json. */
export interface DecoderConfig {
  /** Token ids. */
  readonly vocabSize: number;
  /** Width of the model; half of it divided evenly by the attention heads, unless `headDim` is given. */
  readonly hiddenSize: number;
  /** Width of the feed-forward layer. */
  readonly intermediateSize: number;
  /** Layers. */
  readonly numHiddenLayers: number;
  /** Attention heads. */
  readonly numAttentionHeads: number;
  /** Fewer than the attention heads: grouped-query attention. Default: as many. */
  readonly numKeyValueHeads?: number;
  /** Features of one attention head, an even number. Default: hiddenSize / numAttentionHeads. */
  readonly headDim?: number;
  /** Longest sequence. Default 2048. */
  readonly maxPositionEmbeddings?: number;
  /** Added to the mean square in norms. Default 1e-6. */
  readonly rmsNormEps?: number;
  /** Base of the rotary positions' wave lengths. Default 10000. */
  readonly ropeTheta?: number;
  /** How rotary positions are scaled for sequences longer than those of the first training. Default: not at all. */
  readonly ropeScaling?: RopeScaling;
  /** The head is the embedding table, transposed. Default false. */
  readonly tieWordEmbeddings?: boolean;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly initializerRange?: number;
}

/**
 * Above every model that is known, and small enough that anything within can be planned in seconds and counted
 * without rounding.
 */
export const bounds = {
  vocabulary: 2 ** 24,
  width: 2 ** 20,
  layers: 256,
  heads: 2 ** 12,
  positions: 2 ** 31 - 1,
};

export const decoderTable = {
  vocabSize: wholeNumber(1, bounds.vocabulary),
  hiddenSize: wholeNumber(1, bounds.width),
  intermediateSize: wholeNumber(1, bounds.width),
  numHiddenLayers: wholeNumber(1, bounds.layers),
  numAttentionHeads: wholeNumber(1, bounds.heads),
  numKeyValueHeads: optional(wholeNumber(1, bounds.heads)),
  headDim: optional(wholeNumber(1, bounds.width)),
  maxPositionEmbeddings: optional(wholeNumber(1, bounds.positions), 2048),
  rmsNormEps: optional(numberAbove(0), 1e-6),
  ropeTheta: optional(numberAbove(0), 10000),
  ropeScaling: optional(ropeScaling),
  tieWordEmbeddings: optional(flag, false),
  initializerRange: optional(numberAbove(0), 0.02),
} satisfies OptionTable<DecoderConfig>;

/** A configuration that is complete: what is left out of it has no default, or is derived. */
export type Resolved<C extends DecoderConfig> = C &
  Required<Omit<DecoderConfig, 'headDim' | 'ropeScaling'>> &
  Pick<DecoderConfig, 'headDim' | 'ropeScaling'>;

/** What a configuration is checked by. */
export interface ConfigRules<C extends DecoderConfig> {
  /** For errors, e.g. 'a LLaMA configuration'. */
  readonly what: string;
  readonly table: OptionTable<C>;
  readonly presets: Readonly<Record<string, C>>;
}

/**
 * The configuration behind a preset's name or a partial configuration, complete and checked.
 * @throws ERR_COMPACT_MODEL_UNKNOWN for an unknown preset, ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY,
 *   ERR_COMPACT_CONFIG_VALUE
 */
export function resolveDecoderConfig<C extends DecoderConfig>(
  { what, table, presets }: ConfigRules<C>,
  model: string | C,
  overrides: Partial<C>,
): Resolved<C> {
  const context = { what };
  const base = typeof model === 'string' ? preset(presets, model) : model;
  const given = new Map([...ownValues(base, context), ...ownValues(overrides, context)]);
  const checked = checkOptions(Object.fromEntries(given), table, context) as unknown as Resolved<C>;
  const { hiddenSize, numAttentionHeads: heads, headDim, ropeScaling } = checked;
  const kvHeads = (checked as DecoderConfig).numKeyValueHeads ?? heads;
  if (headDim === undefined)
    requireThat(
      'numAttentionHeads',
      heads,
      hiddenSize % (2 * heads) === 0,
      `half of ${hiddenSize} divided evenly by it`,
    );
  else requireThat('headDim', headDim, headDim % 2 === 0, 'an even number');
  requireThat(
    'numKeyValueHeads',
    kvHeads,
    heads % kvHeads === 0,
    `a divisor of the ${heads} attention heads`,
  );
  checkRopeScaling(ropeScaling);
  return withoutOff({ ...checked, numKeyValueHeads: kvHeads }, table);
}

/**
 * What is off and has no default counts as left out, so that a description does not change with every option that comes
 * to be: checkpoints hold it and are compared with it.
 */
function withoutOff<C extends object>(config: C, table: Readonly<Record<string, object>>): C {
  const isOff = ([key, value]: [string, unknown]): boolean =>
    value === false && defaultOf(table[key]!) === undefined;
  return Object.fromEntries(Object.entries(config).filter((entry) => !isOff(entry))) as C;
}

/** What an option is where it is left out. */
export const defaultOf = (row: object): unknown => (row as { readonly default?: unknown }).default;

function preset<C>(presets: Readonly<Record<string, C>>, name: string): C {
  const names = Object.keys(presets);
  if (Object.hasOwn(presets, name)) return presets[name]!;
  const nearest = nearestName(name, names);
  throw compactError('ERR_COMPACT_MODEL_UNKNOWN', `unknown model ${shown(name)}`, {
    op: 'preset',
    expected: `one of ${names.join(', ')}`,
    received: shown(name),
    remedy: nearest && `Did you mean '${nearest}'?`,
  });
}

function requireThat(key: keyof DecoderConfig, value: number, isPossible: boolean, expected: string): void {
  if (isPossible) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${key} is not possible`, {
    op: key,
    expected,
    received: String(value),
  });
}

/** Features of one attention head. */
export const headSizeOf = ({
  headDim,
  hiddenSize,
  numAttentionHeads,
}: Pick<DecoderConfig, 'headDim' | 'hiddenSize' | 'numAttentionHeads'>): number =>
  headDim ?? hiddenSize / numAttentionHeads;

export const ropeOf = ({
  ropeTheta: theta,
  maxPositionEmbeddings,
  ropeScaling: scaling,
}: Resolved<DecoderConfig>): Rope => ({ theta, maxPositionEmbeddings, scaling });

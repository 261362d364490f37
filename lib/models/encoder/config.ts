import * as v from 'valibot';
import { compactError } from '../../errors.js';
import {
  checkOptions,
  numberAbove,
  oneOf,
  optional,
  ownValues,
  shown,
  text,
  wholeNumber,
  type OptionTable,
} from '../../options.js';
import { bounds } from '../decoder/config.js';

/** What an encoder's head is for. */
export const encoderTasks = [
  'masked-lm',
  'sequence-classification',
  'multi-label-classification',
  'regression',
] as const;
/** One of `encoderTasks`. */
export type EncoderTask = (typeof encoderTasks)[number];

/** The shape of an encoder, in the words of Hugging Face's config.json, and what it is for. */
export interface EncoderConfig {
  /** Token ids. */
  readonly vocabSize: number;
  /** Width of the model; the attention heads divide it. */
  readonly hiddenSize: number;
  /** Layers. */
  readonly numHiddenLayers: number;
  /** Attention heads. */
  readonly numAttentionHeads: number;
  /** Width of the feed-forward layer. */
  readonly intermediateSize: number;
  /** Rows of the table of positions. Default 512. */
  readonly maxPositionEmbeddings?: number;
  /** Types of tokens, such as those of the first and the second of two texts. Default 2. */
  readonly typeVocabSize?: number;
  /** Added to the variance in norms. Default 1e-12. */
  readonly layerNormEps?: number;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly initializerRange?: number;
  /**
   * The head: 'masked-lm' predicts hidden tokens, 'sequence-classification' one of `numLabels` classes for a sequence,
   * 'multi-label-classification' any number of them, 'regression' one number for a sequence. Default 'masked-lm'.
   */
  readonly task?: EncoderTask;
  /** Classes of a classification. Default: as many as `labelNames`, or 2. */
  readonly numLabels?: number;
  /** Names of the classes in order. Default: none. */
  readonly labelNames?: readonly string[];
}

export const encoderTable = {
  vocabSize: wholeNumber(1, bounds.vocabulary),
  hiddenSize: wholeNumber(1, bounds.width),
  numHiddenLayers: wholeNumber(1, bounds.layers),
  numAttentionHeads: wholeNumber(1, bounds.heads),
  intermediateSize: wholeNumber(1, bounds.width),
  maxPositionEmbeddings: optional(wholeNumber(1, bounds.vocabulary), 512),
  typeVocabSize: optional(wholeNumber(1, bounds.width), 2),
  layerNormEps: optional(numberAbove(0), 1e-12),
  initializerRange: optional(numberAbove(0), 0.02),
  task: optional(oneOf(encoderTasks), 'masked-lm'),
  numLabels: optional(wholeNumber(1, bounds.width)),
  labelNames: optional(v.array(text, 'a list of names')),
} satisfies OptionTable<EncoderConfig>;

/** Whether a head tells classes of a sequence, one or any number of them. */
export const isClassification = (task: EncoderTask): boolean =>
  task === 'sequence-classification' || task === 'multi-label-classification';

/** A configuration that is complete: only a classification has labels. */
export type Resolved<C extends EncoderConfig = EncoderConfig> = C &
  Required<Omit<EncoderConfig, 'numLabels' | 'labelNames'>>;

/**
 * A configuration, complete and checked.
 * @param what for errors, e.g. 'a BERT configuration'
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 */
export function resolveEncoderConfig<C extends EncoderConfig>(
  what: string,
  table: OptionTable<C>,
  given: object,
  overrides: object,
): Resolved<C> {
  const context = { what };
  const replaced = ownValues(overrides, context);
  // Labels of a file are those of its own head: another task, or others of them, replaces all that it says of them.
  const isOtherHead = ['task', 'numLabels', 'labelNames'].some((key) => replaced.has(key));
  const kept = [...ownValues(given, context)].filter(
    ([key]) => !(isOtherHead && (key === 'numLabels' || key === 'labelNames')),
  );
  const values = new Map([...kept, ...replaced]);
  const config = checkOptions(Object.fromEntries(values), table, context) as unknown as Resolved<C>;
  const { hiddenSize, numAttentionHeads, task } = config;
  requireThat(
    'numAttentionHeads',
    numAttentionHeads,
    hiddenSize % numAttentionHeads === 0,
    `a divisor of the width ${hiddenSize}`,
  );
  const { numLabels, labelNames, ...others } = config;
  if (!isClassification(task)) {
    const most = task === 'regression' ? 1 : 0;
    requireThat('numLabels', numLabels, (numLabels ?? most) <= most, `no classes of a model for ${task}`);
    requireThat('labelNames', labelNames, (labelNames?.length ?? 0) <= most, `none for ${task}`);
    return others as unknown as Resolved<C>;
  }
  const count = numLabels ?? labelNames?.length ?? 2;
  const isNamed = labelNames === undefined || labelNames.length === count;
  requireThat('labelNames', labelNames, isNamed, `${count} names, one for each class`);
  return { ...config, numLabels: count };
}

function requireThat(key: keyof EncoderConfig, value: unknown, isPossible: boolean, expected: string): void {
  if (isPossible) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${key} is not possible`, {
    op: key,
    expected,
    received: shown(value),
  });
}

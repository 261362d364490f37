import type { ControlTokenIds, DType } from '../../graph/index.js';
import { checkValue, section, shown, type OptionTable } from '../../options.js';
import {
  checkFields,
  descriptionOf,
  descriptiveFields,
  otherModel,
  withoutNull,
  type PretrainedFields,
} from '../pretrained-fields.js';
import { isClassification, type EncoderConfig, type EncoderTask, type Resolved } from './config.js';

/** What `config.json` has to say of an architecture, beside what all encoders have. */
export interface EncoderWords<C extends EncoderConfig> {
  /** The value of `model_type`. */
  readonly modelType: string;
  /** What names of its classes in transformers begin with. */
  readonly classPrefix: string;
  /** How errors call it. */
  readonly title: string;
  readonly table: OptionTable<C>;
  /** Fields that are options of ours beside those that all have. */
  readonly options: Readonly<Record<string, keyof C & string>>;
}

/** Fields that are options of every encoder. */
const sharedOptions = {
  vocab_size: 'vocabSize',
  hidden_size: 'hiddenSize',
  num_hidden_layers: 'numHiddenLayers',
  num_attention_heads: 'numAttentionHeads',
  intermediate_size: 'intermediateSize',
  max_position_embeddings: 'maxPositionEmbeddings',
  type_vocab_size: 'typeVocabSize',
  layer_norm_eps: 'layerNormEps',
  initializer_range: 'initializerRange',
} as const satisfies Readonly<Record<string, keyof EncoderConfig>>;

const fixed = {
  hidden_act: 'gelu',
  position_embedding_type: 'absolute',
  is_decoder: false,
  add_cross_attention: false,
  tie_word_embeddings: true,
} as const;

/** Dropout is how the published models were trained; no dropout is applied here. */
const others = ['hidden_dropout_prob', 'attention_probs_dropout_prob', 'classifier_dropout'];

/** Heads by the ends of their classes' names; a body alone, and one with the head of BERT's training, start as masked-lm. */
const headsOfClasses: Readonly<Record<string, 'masked-lm' | 'labels'>> = {
  ForMaskedLM: 'masked-lm',
  ForPreTraining: 'masked-lm',
  Model: 'masked-lm',
  ForSequenceClassification: 'labels',
};

/** Tasks of heads that give labels, by what config.json calls their problem. */
const tasksOfProblems: Readonly<Record<string, EncoderTask>> = {
  single_label_classification: 'sequence-classification',
  multi_label_classification: 'multi-label-classification',
  regression: 'regression',
};

/** A configuration in the words of Hugging Face's `config.json`. */
export function encoderToPretrained<C extends EncoderConfig>(
  { modelType, classPrefix, options }: EncoderWords<C>,
  config: Resolved<C>,
  dtype: DType,
  tokens: ControlTokenIds,
): Record<string, unknown> {
  const { task, numLabels = 1, labelNames } = config;
  const names = labelNames ?? Array.from({ length: numLabels }, (_, label) => `LABEL_${label}`);
  const isLabelled = task !== 'masked-lm';
  return {
    architectures: [`${classPrefix}${isLabelled ? 'ForSequenceClassification' : 'ForMaskedLM'}`],
    model_type: modelType,
    ...descriptionOf(dtype, tokens),
    ...Object.fromEntries(
      Object.entries({ ...sharedOptions, ...options }).map(([field, key]) => [field, config[key as keyof C]]),
    ),
    ...fixed,
    ...{ hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
    ...(isLabelled && {
      id2label: Object.fromEntries(names.entries()),
      label2id: Object.fromEntries(names.map((name, label) => [name, label])),
      problem_type: Object.keys(tasksOfProblems).find((problem) => tasksOfProblems[problem] === task),
    }),
  };
}

/**
 * The other way round. What a file leaves out has the default that transformers give it.
 * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_CONFIG_UNKNOWN_KEY naming the field
 */
export function encoderFromPretrained<C extends EncoderConfig>(
  { classPrefix, title, table, options }: EncoderWords<C>,
  fields: PretrainedFields,
): object {
  const given = withoutNull(fields);
  const byField = { ...sharedOptions, ...options };
  checkFields(given, { title, known: [...Object.keys(byField), ...descriptiveFields, ...others], fixed });
  const rows = table as Readonly<Record<string, OptionTable<C>[keyof C]>>;
  const entries = Object.entries(byField).map(
    ([field, key]) => [key, checkValue<unknown>(given.get(field), rows[key]!, field)] as const,
  );
  return { ...Object.fromEntries(entries), ...readTask(classPrefix, given) };
}

interface TaskOptions {
  readonly task: EncoderTask;
  readonly labelNames?: readonly string[];
}

function readTask(classPrefix: string, given: PretrainedFields): TaskOptions {
  const classes = given.get('architectures');
  const name: unknown = Array.isArray(classes) ? classes[0] : `${classPrefix}ForMaskedLM`;
  const end = typeof name === 'string' && name.startsWith(classPrefix) ? name.slice(classPrefix.length) : '';
  const head = Object.hasOwn(headsOfClasses, end) ? headsOfClasses[end] : undefined;
  const expected = Object.keys(headsOfClasses).map((known) => `${classPrefix}${known}`);
  if (head === undefined) throw otherModel('architectures', expected.join(', '), shown(name));
  if (head === 'masked-lm') return { task: 'masked-lm' };
  const labelNames = readLabels(given.get('id2label'));
  const problem =
    given.get('problem_type') ?? (labelNames.length === 1 ? 'regression' : 'single_label_classification');
  const task =
    typeof problem === 'string' && Object.hasOwn(tasksOfProblems, problem)
      ? tasksOfProblems[problem]
      : undefined;
  if (task !== undefined && isClassification(task)) return { task, labelNames };
  if (task === 'regression' && labelNames.length === 1) return { task };
  const problems =
    "'single_label_classification', 'multi_label_classification', or 'regression' with one label";
  throw otherModel('problem_type', problems, `${shown(problem)} with ${labelNames.length} labels`);
}

/** Names of the labels by their numbers. */
function readLabels(id2label: unknown): readonly string[] {
  if (id2label === undefined) return ['LABEL_0', 'LABEL_1'];
  const names = new Map(Object.entries(checkValue(id2label, section, 'id2label')));
  const inOrder = Array.from({ length: names.size }, (_, label) => names.get(String(label)));
  const isText = (name: unknown): name is string => typeof name === 'string';
  if (names.size > 0 && inOrder.every(isText)) return inOrder;
  throw otherModel('id2label', 'a name for each number from 0', shown(id2label));
}

/** BERT and RoBERTa: published config.json files, tasks, and what is refused. */
import { describe, expect, test } from '@jest/globals';
import { Graph } from '../../lib/graph/index.js';
import { modelFromPretrainedConfig } from '../../lib/models/index.js';

/** As published. */
const bert = {
  architectures: ['BertForMaskedLM'],
  attention_probs_dropout_prob: 0.1,
  gradient_checkpointing: false,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0.1,
  hidden_size: 768,
  initializer_range: 0.02,
  intermediate_size: 3072,
  layer_norm_eps: 1e-12,
  max_position_embeddings: 512,
  model_type: 'bert',
  num_attention_heads: 12,
  num_hidden_layers: 12,
  pad_token_id: 0,
  position_embedding_type: 'absolute',
  transformers_version: '4.6.0.dev0',
  type_vocab_size: 2,
  use_cache: true,
  vocab_size: 30522,
};
const roberta = {
  ...bert,
  architectures: ['RobertaForMaskedLM'],
  bos_token_id: 0,
  eos_token_id: 2,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 514,
  model_type: 'roberta',
  pad_token_id: 1,
  type_vocab_size: 1,
  vocab_size: 50265,
};
const labelled = (config: typeof bert, names: readonly string[], problem_type?: string) => ({
  ...config,
  architectures: [config.architectures[0]!.replace('MaskedLM', 'SequenceClassification')],
  id2label: Object.fromEntries(names.entries()),
  label2id: Object.fromEntries(names.map((name, label) => [name, label])),
  problem_type,
});

/** Counts of transformers. */
test.each<[string, object, number, string[]]>([
  ['BERT base', bert, 109_514_298, ['tokens', 'attentionMask', 'tokenTypes', 'targets']],
  ['RoBERTa base', roberta, 124_697_433, ['tokens', 'attentionMask', 'targets']],
  [
    'BERT base for two classes',
    labelled(bert, ['no', 'yes']),
    109_483_778,
    ['tokens', 'attentionMask', 'tokenTypes', 'labels'],
  ],
  [
    'RoBERTa base for two classes',
    labelled(roberta, ['no', 'yes']),
    124_647_170,
    ['tokens', 'attentionMask', 'labels'],
  ],
])('%s', (_, config, numParameters, fields) => {
  const model = modelFromPretrainedConfig(config);
  expect(model).toMatchObject({ numParameters, maxSequenceLength: 512 });
  expect(model.batchFields.map(({ name }) => name)).toEqual(fields);
});

describe('tasks', () => {
  test('a published model is fine-tuned for classes by overrides', () => {
    const model = modelFromPretrainedConfig(roberta, { task: 'sequence-classification', numLabels: 77 });
    expect(model.batchFields.at(-1)).toEqual({
      name: 'labels',
      dtype: 'i32',
      shape: ['batchSize'],
      numIds: 77,
    });
    expect(model.pretrainedConfig('f32')).toMatchObject({
      architectures: ['RobertaForSequenceClassification'],
      problem_type: 'single_label_classification',
      pad_token_id: 1,
    });
  });

  test('names of classes come from the file and go there', () => {
    const model = modelFromPretrainedConfig(labelled(bert, ['low', 'middle', 'high']));
    expect(model.describe()).toMatchObject({ numLabels: 3, labelNames: ['low', 'middle', 'high'] });
    expect(model.pretrainedConfig('f32')).toMatchObject({
      id2label: { 0: 'low', 1: 'middle', 2: 'high' },
      label2id: { low: 0, middle: 1, high: 2 },
    });
  });

  test('an override of the task or of the labels replaces what the file says of them', () => {
    const config = labelled(bert, ['low', 'middle', 'high']);
    const described = (overrides: object) => modelFromPretrainedConfig(config, overrides).describe();
    expect(described({ hiddenSize: 768 })).toMatchObject({ labelNames: ['low', 'middle', 'high'] });
    expect(described({ numLabels: 5 })).toMatchObject({ numLabels: 5 });
    expect(described({ numLabels: 5 })).not.toHaveProperty('labelNames');
    expect(described({ labelNames: ['no', 'yes'] })).toMatchObject({ numLabels: 2 });
    expect(described({ task: 'masked-lm' })).not.toHaveProperty('numLabels');
  });

  test('one label without a type of problem is a number', () => {
    const model = modelFromPretrainedConfig(labelled(bert, ['score']));
    expect(model.batchFields.at(-1)).toEqual({ name: 'labels', dtype: 'f32', shape: ['batchSize'] });
    expect(model.pretrainedConfig('f32')).toMatchObject({ problem_type: 'regression' });
  });

  test('any number of classes at once have a label each', () => {
    const model = modelFromPretrainedConfig(labelled(bert, ['a', 'b', 'c'], 'multi_label_classification'));
    expect(model.batchFields.at(-1)).toEqual({
      ...{ name: 'labels', dtype: 'i32', shape: ['batchSize', 3], numIds: 2 },
    });
    expect(model.describe()).toMatchObject({ task: 'multi-label-classification', numLabels: 3 });
    expect(model.pretrainedConfig('f32')).toMatchObject({
      ...{ problem_type: 'multi_label_classification', id2label: { 0: 'a', 1: 'b', 2: 'c' } },
    });
  });

  test('a body alone is a masked language model', () => {
    expect(modelFromPretrainedConfig({ ...bert, architectures: ['BertModel'] }).describe()).toMatchObject({
      task: 'masked-lm',
    });
  });
});

describe('what is not computed is refused by name', () => {
  test.each<[string, object, string]>([
    ['another activation', { ...bert, hidden_act: 'relu' }, 'hidden_act'],
    ['relative positions', { ...bert, position_embedding_type: 'relative_key' }, 'position_embedding_type'],
    ['a decoder', { ...roberta, is_decoder: true }, 'is_decoder'],
    ['another head', { ...bert, architectures: ['BertForTokenClassification'] }, 'architectures'],
    ['another architecture', { ...bert, architectures: ['RobertaForMaskedLM'] }, 'architectures'],
    ['another problem', labelled(bert, ['a', 'b'], 'ordinal'), 'problem_type'],
    ['several numbers', labelled(bert, ['a', 'b'], 'regression'), 'problem_type'],
    ['labels without a number', { ...labelled(bert, ['a']), id2label: { 0: 'a', 2: 'c' } }, 'id2label'],
    ['an unknown field', { ...bert, rope_theta: 10000 }, 'rope_theta'],
  ])('%s', (_, config, op) => {
    const code = expect.stringMatching(/^ERR_COMPACT_CONFIG_(VALUE|UNKNOWN_KEY)$/);
    expect(() => modelFromPretrainedConfig(config)).toThrow(expect.objectContaining({ code, op }));
  });

  test.each<[object, string]>([
    [{ numAttentionHeads: 7 }, 'numAttentionHeads'],
    [{ numLabels: 2 }, 'numLabels'],
    [{ task: 'regression', numLabels: 2 }, 'numLabels'],
    [{ task: 'sequence-classification', numLabels: 2, labelNames: ['a'] }, 'labelNames'],
    [{ task: 'causal-lm' }, 'task'],
  ])('%j', (overrides, op) => {
    expect(() => modelFromPretrainedConfig(bert, overrides)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op }),
    );
  });

  test('sequences beyond the positions', () => {
    const model = modelFromPretrainedConfig({
      ...roberta,
      num_hidden_layers: 1,
      max_position_embeddings: 10,
    });
    const build = (sequenceLength: number) =>
      model.build(new Graph(), { batchSize: 1, sequenceLength, dtype: 'f32', purpose: 'train' });
    expect(() => build(8)).not.toThrow();
    expect(() => build(9)).toThrow(
      expect.objectContaining({ op: 'sequenceLength', expected: 'at most 8', received: '9' }),
    );
  });
});

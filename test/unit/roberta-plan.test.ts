/**
 * Planned peaks of RoBERTa-base for two classes, 16 sequences of 512 tokens, beside those that the CompAct paper measured
 * (Table 5, RTE): 6298 MB for full fine-tuning, 3092 and 3102 MB for compact with rank 4 and 8.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions } from '../../lib/compile/index.js';
import { compact, dense, type Method } from '../../lib/methods/index.js';
import { modelFromPretrainedConfig } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';

const model = modelFromPretrainedConfig({
  architectures: ['RobertaForSequenceClassification'],
  hidden_act: 'gelu',
  hidden_size: 768,
  intermediate_size: 3072,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 514,
  model_type: 'roberta',
  num_attention_heads: 12,
  num_hidden_layers: 12,
  pad_token_id: 1,
  type_vocab_size: 1,
  vocab_size: 50265,
});

const [tokens, layers, hidden] = [16 * 512, 12, 768] as const;

/** MB of 10^6 bytes, in f32 unless the options say otherwise. */
function peak(method: Method, options: Partial<CompileOptions> = {}): number {
  const shape = { batchSize: 16, sequenceLength: 512, dtype: 'f32' } as const;
  const plan = compile({ model, method, ...shape, target: planTarget, entries: ['train'], ...options });
  return plan.peakBytes / 1e6;
}

describe("in the paper's accounting", () => {
  const published = { accounting: 'published' } as const;
  const full = peak(dense(), published);

  test('full fine-tuning is within 5 % of what was measured', () => {
    expect(Math.abs(full / 6298 - 1)).toBeLessThan(0.05);
  });

  // Backward keeps 16 h numbers a token and layer: queries, keys, values and what attention gives, inputs and outputs of two
  // norms, input (4 h) and output (4 h) of GELU. Inputs of compressed layers are the outputs of norms and of GELU.
  test.each([4, 8])(
    'compact with rank %d saves inputs, gradients and moments of the compressed layers',
    (rank) => {
      const inputs = layers * tokens * 6 * hidden * 4;
      const compressed = layers * (3 * hidden ** 2 + 2 * hidden * 4 * hidden);
      const saved = (inputs + compressed * 3 * 2) / 1e6; // gradients and two moments in bf16
      expect(Math.abs((full - peak(compact({ rank }), published)) / saved - 1)).toBeLessThan(0.05);
    },
  );
});

test.each(['f32', 'bf16'] as const)(
  'compact that recomputes layers takes less than 0.45 of plain dense in %s',
  (dtype) => {
    const plain = peak(dense(), { dtype });
    for (const rank of [4, 8])
      expect(peak(compact({ rank }), { dtype, recompute: 'layer' })).toBeLessThan(0.45 * plain);
  },
);

test.each([
  ['full', 6298, dense()],
  ['compact, rank 4', 3092, compact({ rank: 4 })],
  ['compact, rank 8', 3102, compact({ rank: 8 })],
] as const)('docs/models.md tells of %s', (title, measured, method) => {
  const options = [{ accounting: 'published' }, {}, { recompute: 'layer' }] as const;
  const planned = options.map((option) => peak(method, option).toFixed(0));
  expect(readFileSync(join(__dirname, '../../docs/models.md'), 'utf8')).toContain(
    `| ${[title, measured, ...planned].join(' | ')} |\n`,
  );
});

/** Gradients of embedding and head by rows: what they mean, what is alive of them at a time, and what is refused. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { plannedThreads } from '../../lib/cli/planned-threads.js';
import { buildEntries } from '../../lib/compile/entries.js';
import { compile, type CompileOptions, type Plan } from '../../lib/compile/index.js';
import { compact, dense, lomo, lora, type Method, type MethodOptions } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { groupingTarget, planTarget } from '../helpers/plan-target.js';
import { Expressions, meaningOfGraph, meaningOfPlan } from '../helpers/symbolic.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';

const config: LlamaConfig = {
  vocabSize: 45,
  hiddenSize: 16,
  intermediateSize: 24,
  numHiddenLayers: 1,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
};
const tables = ['model.embed_tokens.weight', 'lm_head.weight'] as const;

const options = (method: Method, change: Partial<CompileOptions> = {}): CompileOptions => ({
  model: llama(config),
  method,
  target: planTarget,
  batchSize: 2,
  sequenceLength: 4,
  dtype: 'f32',
  entries: ['train'],
  ...change,
});

const isRows = ({ region }: Plan['values'][number]): boolean => region === 'rows';

describe('rows of a table', () => {
  test.each([
    // Rows of 64 bytes begin at multiples of 256, every fourth.
    ['f32', 1, [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 1]],
    ['f32', 13, [16, 16, 13]],
    ['bf16', 13, [16, 16, 13]],
    ['bf16', 17, [24, 21]],
    ['bf16', 44, []], // rounded up to 48: whole
    ['f32', 44, [44, 1]],
    ['f32', 45, []],
    ['f32', 1000, []],
  ] as const)('%s, %d at a time', (dtype, embeddingChunk, sizes) => {
    const plan = compile(options(dense({ embeddingChunk }), { dtype }));
    for (const table of tables) {
      const whole = plan.values.find(({ name, region }) => name === table && region === 'persistent')!;
      const parts = plan.values.filter((value) => isRows(value) && value.name.startsWith(table));
      expect(parts.map(({ shape }) => shape[0])).toEqual(sizes);
      let { offset } = whole;
      for (const part of parts) {
        expect([part.shape[1], part.offset, part.kind]).toEqual([16, offset, 'parameter']);
        offset += part.bytes;
      }
      if (parts.length > 0) expect(offset).toBe(whole.offset + whole.bytes);
    }
  });

  test.each([
    ['AdamW', {}],
    ['SCALE, tables by Adafactor', { optimizer: 'scale', embeddingOptimizer: 'adafactor' }],
    ['AdamW in eight bits', { optimizer: 'adamw-8bit' }],
  ] as [string, MethodOptions][])('plans compute over their bytes what their graphs say: %s', (_, given) => {
    for (const create of [dense, compact, lomo])
      for (const target of [planTarget, groupingTarget])
        for (const recompute of ['none', 'layer'] as const) {
          const { optimizer: __, ...ofLomo } = given;
          const method =
            create === lomo
              ? lomo({ ...ofLomo, embeddingChunk: 16 })
              : create({ ...given, embeddingChunk: 16 });
          const run = options(method, { target, recompute });
          const expressions = new Expressions();
          const plan = compile(run);
          expect(plan.values.filter(isRows)).toHaveLength(6);
          for (const program of buildEntries(run))
            expect(meaningOfPlan(plan, program.name, expressions)).toEqual(
              meaningOfGraph(program, expressions),
            );
        }
  });

  test('the gradient of one part is alive at a time', () => {
    for (const given of [{}, { optimizer: 'scale' }, { embeddingOptimizer: 'adafactor' }] as const)
      for (const gradientDtype of ['f32', 'bf16'] as const) {
        const plan = compile(options(dense({ ...given, embeddingChunk: 16 }), { gradientDtype }));
        const { instructions, lifetimes } = plan.entries['step']!;
        const makers = instructions.flatMap(({ op, outputs }) =>
          ['linearCrossEntropyRowsBackward', 'embeddingBackward'].includes(op) ? outputs : [],
        );
        expect(makers).toHaveLength(6);
        const lives = makers.map((id) => lifetimes.find(({ value }) => value === id)!);
        for (const [index, { first }] of lives.entries())
          for (const other of lives.slice(0, index)) expect(other.last).toBeLessThan(first);
      }
  });

  test('gradients and steps of AdamW are those of whole tables', () => {
    const shape = { batchSize: 2, sequenceLength: 4 };
    const [whole, parts] = [undefined, 16].map(
      (embeddingChunk) => new TwinTrainer(llama(config), dense({ weightDecay: 0.1, embeddingChunk }), shape),
    ) as [TwinTrainer, TwinTrainer];
    for (let step = 1; step <= 20; step++) {
      const losses = [whole, parts].map((of) => of.step(`batch ${step}`, { step, learningRate: 0.01 }));
      expect(Math.abs(losses[0]! - losses[1]!)).toBeLessThan(1e-9);
    }
    for (const table of tables) {
      const found = parts.persistent.get(table)!.data;
      const right = whole.persistent.get(table)!.data;
      expect(found.every((value, i) => Math.abs(value - right[i]!) < 1e-9)).toBe(true);
      expect(parts.persistent.get(`${table}[32:45].expAvg`)!.data).toHaveLength(13 * 16);
      expect(parts.persistent.has(`${table}.expAvg`)).toBe(false);
    }
  });
});

describe('a peak that is the gradient of a table, as docs/memory.md has it', () => {
  const given = { optimizer: 'scale', embeddingOptimizer: 'adafactor' } as const;
  const methods: Readonly<Record<string, (embeddingChunk?: number) => Method>> = {
    'compact, rank 8': (embeddingChunk) => compact({ ...given, rank: 8, embeddingChunk }),
    'dense, layers in int8': (embeddingChunk) => dense({ ...given, weights: 'int8', embeddingChunk }),
  };
  const peak = (method: Method): string =>
    (
      compile({
        model: llama('llama-3-8b'),
        method,
        target: cpuTarget({ threads: plannedThreads }),
        batchSize: 1,
        sequenceLength: 2048,
        dtype: 'bf16',
        gradientDtype: 'bf16',
        recompute: 'layer',
        lossChunkTokens: 256,
        entries: ['train'],
      }).peakBytes /
      2 ** 30
    ).toFixed(2);

  test.each(Object.entries(methods))('%s', (name, method) => {
    const page = readFileSync(join(__dirname, '../../docs/memory.md'), 'utf8');
    const row = page.split('\n').find((line) => line.startsWith(`| ${name} |`))!;
    const [, , whole, parts] = row.split('|').map((cell) => cell.trim());
    expect([whole, parts]).toEqual([peak(method()), peak(method(8192))]);
  });
});

describe('is refused', () => {
  const chunk = { embeddingChunk: 16 };
  test.each([
    ['accumulation', dense(chunk), { accumulateGradients: true }, 'accumulation over micro-batches'],
    ['clipping', dense(chunk), { maxGradNorm: 1 }, 'clipping by the norm of all gradients (maxGradNorm 1)'],
    [
      'updates at the end',
      dense(chunk),
      { updatePlacement: 'end' },
      "updates at the end (updatePlacement 'end')",
    ],
    ['frozen tables', dense({ ...chunk, embeddingOptimizer: 'frozen' }), {}, 'frozen tables'],
    ['tables that a method does not train', lora(chunk), {}, 'frozen tables'],
  ] as [string, Method, Partial<CompileOptions>, string][])('%s', (_, method, change, received) => {
    expect(() => compile(options(method, change))).toThrow(
      expect.objectContaining({
        code: 'ERR_COMPACT_CONFIG_VALUE',
        received,
        remedy: expect.stringMatching(/embeddingChunk/),
      }),
    );
  });

  test('tied embeddings', () => {
    const model = llama({ ...config, tieWordEmbeddings: true });
    expect(() => compile(options(dense(chunk), { model }))).toThrow(
      expect.objectContaining({
        code: 'ERR_COMPACT_OP_UNSUPPORTED',
        received: 'a table with several uses (tied embedding and head)',
        remedy: 'Leave out embeddingChunk, or use a model whose head has a weight of its own',
      }),
    );
  });

  test.each([0, -1, 1.5, '16'])('%p rows', (embeddingChunk) => {
    expect(() => dense({ embeddingChunk } as MethodOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', received: expect.anything() }),
    );
  });
});

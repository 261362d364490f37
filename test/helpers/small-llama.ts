/** Random small LLaMA models, methods and policies for properties of the compiler. */
import * as fc from 'fast-check';
import type { CompileOptions } from '../../lib/compile/index.js';
import { compact, dense, lora, loraFa, type Method, mesa, relora } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { groupingTarget, planTarget, preparingTarget } from './plan-target.js';

const models = fc
  .record({
    vocabSize: fc.integer({ min: 2, max: 50 }),
    headSize: fc.constantFrom(4, 8, 16),
    numKeyValueHeads: fc.integer({ min: 1, max: 2 }),
    headsPerKeyValueHead: fc.integer({ min: 1, max: 3 }),
    intermediateSize: fc.constantFrom(8, 24, 41),
    numHiddenLayers: fc.integer({ min: 1, max: 3 }),
    tieWordEmbeddings: fc.boolean(),
  })
  .map(({ headSize, headsPerKeyValueHead, ...rest }) => {
    const numAttentionHeads = rest.numKeyValueHeads * headsPerKeyValueHead;
    return llama({ ...rest, numAttentionHeads, hiddenSize: headSize * numAttentionHeads });
  });

const methods: fc.Arbitrary<Method> = fc.oneof(
  fc
    .record({
      stateFormat: fc.constantFrom('f32' as const, 'bf16' as const),
      weights: fc.constantFrom('dtype' as const, 'int8-aware' as const),
    })
    .map(dense),
  fc
    .record({
      rank: fc.constantFrom(1, 3, 4),
      store: fc.constantFrom('stored' as const, 'lazy' as const),
      sharing: fc.constantFrom('input' as const, 'weight' as const),
      outputProjection: fc.constantFrom('dense' as const, 'lazy' as const),
      momentsAtRefresh: fc.constantFrom('keep' as const, 'reset' as const, 'transfer' as const),
      savedActivations: fc.constantFrom(undefined, 'int8' as const, 'fp8' as const),
    })
    .map(compact),
  fc.record({ savedGroupSize: fc.constantFrom(7, 256) }).map(mesa),
  fc
    .record({ create: fc.constantFrom(lora, loraFa, relora), r: fc.constantFrom(1, 4) })
    .map(({ create, r }) => create({ r })),
  fc
    .record({
      create: fc.constantFrom(lora, relora),
      r: fc.constantFrom(1, 4),
      inputRank: fc.constantFrom(1, 4),
    })
    .map(({ create, ...options }) => create(options)),
);

export const smallRuns: fc.Arbitrary<CompileOptions> = fc.record({
  model: models,
  method: methods,
  target: fc.constantFrom(planTarget, preparingTarget, groupingTarget),
  batchSize: fc.integer({ min: 1, max: 3 }),
  sequenceLength: fc.constantFrom(1, 5, 16),
  dtype: fc.constantFrom('f32' as const, 'bf16' as const),
  gradientDtype: fc.constantFrom('f32' as const, 'bf16' as const),
  recompute: fc.constantFrom('none' as const, 'cheap' as const, 'layer' as const),
  accumulateGradients: fc.boolean(),
  maxGradNorm: fc.constantFrom(0, 1),
  fuseSwiglu: fc.boolean(),
  lossChunkTokens: fc.constantFrom(3, 1024),
  evaluateBatchSize: fc.integer({ min: 1, max: 4 }),
});

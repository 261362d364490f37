import { compact, dense, dora, lora, loraFa, mesa, qlora, relora } from '../../lib/methods/index.js';
import type { MethodCase } from './describe-methods.js';

const adam = { betas: [0.9, 0.99], epsilon: 1e-3, weightDecay: 0.1 } as const;

/** Where fp32 and fp64 round a code to different neighbours, a gradient differs by a 127th of one element. */
const differentCodes = 1e-4;

/** Compressed gradients are small: a larger epsilon does not make a different code of one of them the size of a step. */
const ofCopies = { ...adam, epsilon: 0.01, rank: 4, refreshInterval: 2, savedGroupSize: 16 } as const;

/** The methods that are tested on machines, each with what its paper adds. */
export const methodCases: Readonly<Record<string, MethodCase>> = {
  lora: { method: lora({ ...adam, r: 4, loraAlpha: 16, targetModules: 'all-linear' }) },
  'lora of projected inputs': {
    method: lora({ ...adam, r: 4, targetModules: 'all-linear', inputRank: 8, inputRefreshInterval: 2 }),
  },
  dora: { method: dora({ ...adam, r: 4, loraAlpha: 16, targetModules: 'all-linear' }) },
  'lora-fa': { method: loraFa({ ...adam, r: 4, loraAlpha: 16 }) },
  qlora: { method: qlora({ ...adam, r: 4, loraAlpha: 16, embeddingWeights: 'int8' }) },
  relora: { method: relora({ ...adam, r: 4, resetInterval: 2, restartWarmupSteps: 3 }) },
  mesa: { method: mesa({ ...adam, savedGroupSize: 16 }), tolerance: differentCodes },
  'dense, weights read as int8': {
    method: dense({ ...adam, weights: 'int8-aware' }),
    tolerance: differentCodes, // of weights here
  },
  'compact, with slopes in steps': {
    method: compact({ ...adam, rank: 4, refreshInterval: 2, activationSlopes: 'stepwise' }),
    fuseSwiglu: false,
  },
  'compact, with fp8 copies': {
    method: compact({ ...ofCopies, savedActivations: 'fp8' }),
    tolerance: 3 * differentCodes, // two neighbours of E4M3 differ by an eighth
  },
  'compact, lazy, with int8 copies': {
    method: compact({ ...ofCopies, store: 'lazy', savedActivations: 'int8' }),
    tolerance: differentCodes,
  },
};

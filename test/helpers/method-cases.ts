import { mesa } from '../../lib/methods/index.js';
import type { MethodCase } from './describe-methods.js';

const adam = { betas: [0.9, 0.99], epsilon: 1e-3, weightDecay: 0.1 } as const;

/** The methods that are tested on machines, each with what its paper adds. */
export const methodCases: Readonly<Record<string, MethodCase>> = {
  mesa: {
    method: mesa({ ...adam, groupSize: 16 }),
    // Where fp32 and fp64 round a code to different neighbours, a gradient differs by a 127th of one element.
    tolerance: 2e-4,
  },
};

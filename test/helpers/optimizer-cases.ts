import { compact, dense, type Method, type MethodOptions } from '../../lib/methods/index.js';
import {
  type CompressedSpace,
  type DirectionEquation,
  adamMiniDirection,
  foamDirection,
  lionDirection,
  muonDirection,
  rmnpDirection,
  scaleDirection,
  sgdDirection,
} from './optimizer-equations.js';

/** An optimizer with its equation, and how far fp32 may be from it. */
export interface OptimizerCase {
  readonly options: MethodOptions;
  readonly direction: DirectionEquation;
  readonly learningRate: number;
  /** Largest difference of weights after twenty steps, as a share of the largest weight. */
  readonly tolerance: number;
}

const spectral = (rows: number, columns: number): number => Math.sqrt(Math.max(1, columns / rows));
const rms = (rows: number, columns: number): number => 0.2 * Math.sqrt(Math.max(rows, columns));

// fp32 over twenty steps.
const roundings = 1e-5;
// Newton-Schulz multiplies what is small in a direction, its roundings included, by up to 3.4445^5 = 485.
const amplified = 1e-4;
// Where fp32 and fp64 see an average on different sides of zero, an element goes the other way by twice the rate.
const signs = 0.003;

export const optimizerCases: Readonly<Record<string, OptimizerCase>> = {
  scale: {
    options: { optimizer: 'scale' },
    direction: scaleDirection,
    learningRate: 0.003,
    tolerance: roundings,
  },
  rmnp: {
    options: { optimizer: 'rmnp' },
    direction: rmnpDirection,
    learningRate: 0.01,
    tolerance: roundings,
  },
  muon: {
    options: { optimizer: 'muon' },
    direction: muonDirection(spectral),
    learningRate: 0.01,
    tolerance: amplified,
  },
  'muon, sized as AdamW': {
    options: { optimizer: 'muon', updateSize: 'rms' },
    direction: muonDirection(rms),
    learningRate: 0.01,
    tolerance: amplified,
  },
  'adam-mini': {
    options: { optimizer: 'adam-mini' },
    direction: adamMiniDirection(8),
    learningRate: 0.003,
    tolerance: roundings,
  },
  foam: {
    options: { optimizer: 'foam' },
    direction: foamDirection(8),
    learningRate: 0.003,
    tolerance: roundings,
  },
  'foam in blocks of four': {
    options: { optimizer: 'foam', foldLevel: 2 },
    direction: foamDirection(4),
    learningRate: 0.003,
    tolerance: roundings,
  },
  lion: {
    options: { optimizer: 'lion' },
    direction: lionDirection,
    learningRate: 0.001,
    tolerance: signs,
  },
  sgd: {
    options: { optimizer: 'sgd' },
    direction: sgdDirection(0, false),
    learningRate: 0.1,
    tolerance: roundings,
  },
  'sgd with momentum': {
    options: { optimizer: 'sgd', momentum: 0.9 },
    direction: sgdDirection(0.9, false),
    learningRate: 0.01,
    tolerance: roundings,
  },
  'sgd with Nesterov momentum': {
    options: { optimizer: 'sgd', momentum: 0.9, nesterov: true },
    direction: sgdDirection(0.9, true),
    learningRate: 0.01,
    tolerance: roundings,
  },
};

/** Full gradients, and those that CompAct compresses: without anything to keep between steps, and with. */
export const optimizerSpaces = {
  dense: undefined,
  'compact, a new projection every step': { rank: 8, refreshInterval: 1, updateScale: 0.25 },
  'compact, new projections after 7 and 14': { rank: 8, refreshInterval: 7, updateScale: 0.25 },
} as const;

export const weightDecay = 0.1;

/** A method with an optimizer, in full gradients or in a compressed space. */
export const methodIn = (space: CompressedSpace | undefined, options: MethodOptions): Method =>
  space === undefined
    ? dense({ ...options, weightDecay })
    : compact({ ...options, ...space, weightDecay, sharing: 'weight' });

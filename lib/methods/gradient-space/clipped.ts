import { clip } from '../../graph/index.js';
import { numberFrom, optional, type OptionTable } from '../../options.js';
import { full } from './full.js';
import type { GradientSpace } from './gradient-space.js';

/** Clipping that needs one gradient at a time. */
export interface ClippingSettings {
  /**
   * Clip each element of a gradient to [-maxGradValue, maxGradValue] before its update: `clip_grad_value` of LOMO's
   * code. 0 does not clip. Default 0.
   */
  readonly maxGradValue?: number;
}

export const clippingTable = {
  maxGradValue: optional(numberFrom(0), 0),
} satisfies OptionTable<ClippingSettings>;

/** Full gradients with each element clipped to [-limit, limit] in place; 0: as they are. */
export const clippedByValue = ({ maxGradValue: limit }: Required<ClippingSettings>): GradientSpace =>
  limit === 0
    ? full
    : {
        ...full,
        update: (parameter, gradient, context, optimizer) =>
          full.update(parameter, clip(gradient, limit), context, optimizer),
      };

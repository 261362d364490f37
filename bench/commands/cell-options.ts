import { Option, type Command } from 'commander';
import { llamaPresets } from '../../lib/models/index.js';
import { type BlasChoice, blasChoices } from '../../lib/runtime/index.js';
import { choice, positiveInteger, ratio } from '../../lib/cli/options.js';
import type { PlanRequest } from '../../lib/cli/plan-request.js';
import { ownMethod } from '../own-method.js';
import { deviceOption } from '../../lib/cli/bench/device.js';

/** What a benchmark of one method in a process of its own is asked for. */
export interface CellOptions extends Pick<
  PlanRequest,
  'model' | 'batch' | 'sequence' | 'dtype' | 'recompute'
> {
  readonly method: 'dense' | 'compact';
  readonly rankRatio: number;
  readonly store: 'stored' | 'lazy';
  readonly stateDtype: 'f32' | 'bf16';
  readonly device: string;
  readonly threads?: number;
  readonly blas: BlasChoice;
}

/** The flags as a request; what only compact knows, dense leaves aside. */
export const requestOf = (flags: CellOptions): PlanRequest => {
  const { model, batch, sequence, dtype, recompute, stateDtype: stateFormat } = flags;
  const method = ownMethod({ ...flags, stateFormat });
  return { model, batch, sequence, dtype, recompute, method, accounting: 'ours' };
};

export const cellOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--model <preset>', 'a model preset')
        .choices(Object.keys(llamaPresets))
        .default('llama-60m'),
    )
    .option('--batch <sequences>', 'sequences of a step', positiveInteger, 4)
    .option('--sequence <tokens>', 'tokens of a sequence', positiveInteger, 256)
    .addOption(deviceOption())
    .option('--threads <count>', 'CPU threads (default: all physical cores)', positiveInteger)
    .addOption(choice('--dtype <type>', 'of weights and activations', ['f32', 'bf16']).default('bf16'))
    .addOption(choice('--state-dtype <type>', "of the optimizer's moments", ['f32', 'bf16']).default('f32'))
    .addOption(
      choice('--method <method>', 'how weight gradients are made', ['dense', 'compact']).default('dense'),
    )
    .option('--rank-ratio <ratio>', "rank as a share of a layer's input width (compact)", ratio, 0.25)
    .addOption(
      choice('--store <store>', 'of compressed inputs (compact)', ['stored', 'lazy']).default('stored'),
    )
    .addOption(
      choice('--recompute <policy>', 'what backward rebuilds', ['none', 'cheap', 'layer']).default('none'),
    )
    .addOption(
      choice('--blas <choice>', 'products on a GPU: own kernels or cuBLASLt', blasChoices).default('own'),
    );

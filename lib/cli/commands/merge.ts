import type { Command } from 'commander';
import { exportModel, type ExportOptions } from '../../train/index.js';
import { byteCount, choice } from '../options.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';
import { tellFolder } from './convert.js';

const help = {
  prose: () => `
W + s A B is computed in double precision and rounded once. Without --base a checkpoint's adapters are added to the weights
that it holds, which are those that they were trained beside: rounded to the type of the run, or decoded from int8 or NF4.
Adapters of PEFT are added to the model that they name, or to --base.`,
  examples: [
    ['compact-train merge runs/tuned my-model'],
    [
      'compact-train merge runs/tuned my-model --base downloads/llama --dtype bf16',
      'into the weights as published',
    ],
    ['compact-train merge my-adapters my-model --base downloads/llama', "PEFT's adapters"],
  ],
} as const;

interface MergeFlags extends Pick<ExportOptions, 'dtype'> {
  readonly base?: string;
  readonly maxShardSize?: number;
}

export function registerMerge(program: Command, terminal: Terminal): void {
  const command = program
    .command('merge')
    .summary('adapters and their base model as one model')
    .description("Adds adapters to their weights and writes the model as a folder of Hugging Face's layout.")
    .argument(
      '<adapters>',
      "a checkpoint with adapters, an output folder: its latest, or a folder of PEFT's adapters",
    )
    .argument('<folder>', 'the folder to make')
    .option('--base <folder>', 'weights to add them to, as they are published')
    .addOption(
      choice('--dtype <type>', 'of the numbers (default: as the base model has them)', [
        'f32',
        'bf16',
        'f16',
      ]),
    )
    .option('--max-shard-size <bytes>', 'of one file of weights (default: 5GB)', byteCount)
    .action((adapters: string, folder: string, flags: MergeFlags) =>
      merge(adapters, folder, flags, terminal),
    );
  addHelpAfter(command, help);
}

async function merge(
  checkpoint: string,
  folder: string,
  flags: MergeFlags,
  terminal: Terminal,
): Promise<void> {
  const { base: baseModel, dtype, maxShardSize: maxShardBytes } = flags;
  const report = await exportModel({ checkpoint, folder, baseModel, dtype, maxShardBytes });
  tellFolder(terminal, { type: 'merged', ...report });
}

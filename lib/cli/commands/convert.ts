import type { Command } from 'commander';
import { compactError } from '../../errors.js';
import {
  exportAdapters,
  exportGguf,
  exportModel,
  type ExportedModel,
  type ExportGgufOptions,
} from '../../train/index.js';
import { formatBytes } from '../format.js';
import { byteCount, choice } from '../options.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
safetensors: a folder in the layout of Hugging Face's checkpoints, adapters merged.

gguf: one file for llama.cpp and what is built on it; --dtype f16 (default), bf16, f32 or q8_0, which takes a quarter of f32.

peft: the adapters of a checkpoint alone, for Hugging Face's PEFT.

Nothing is written over: OUT has to be a new name, and appears when it is whole.`,
  examples: [
    ['compact-train convert runs/tuned my-model --to safetensors --dtype bf16'],
    ['compact-train convert runs/tuned my-model.gguf --to gguf --dtype q8_0'],
    ['compact-train convert runs/tuned my-adapters --to peft'],
    ['compact-train convert stories15M.bin stories --to safetensors --tokenizer tokenizer.bin', "llama2.c's"],
  ],
} as const;

const forms = ['safetensors', 'peft', 'gguf'] as const;

interface ConvertFlags {
  readonly to: (typeof forms)[number];
  readonly base?: string;
  readonly dtype?: ExportGgufOptions['dtype'];
  readonly maxShardSize?: number;
  readonly tokenizer?: string;
}

export function registerConvert(program: Command, terminal: Terminal): void {
  const command = program
    .command('convert')
    .summary('a model or its adapters in the form of other programs')
    .description('Writes a model, or the adapters of one, in the form that other programs open.')
    .argument(
      '<in>',
      "a checkpoint, an output folder: its latest, a folder of Hugging Face's or PEFT's, a llama2.c file",
    )
    .argument('<out>', 'the folder or file to make')
    .addOption(choice('--to <form>', 'what to write', forms).makeOptionMandatory())
    .addOption(
      choice('--dtype <type>', 'of the numbers (default: as they are; gguf: f16)', [
        'f32',
        'bf16',
        'f16',
        'q8_0',
      ]),
    )
    .option('--base <folder>', 'weights that adapters are added to; of peft the name of the base model')
    .option('--tokenizer <file>', 'tokenizer.bin of a llama2.c file')
    .option('--max-shard-size <bytes>', 'of one file of safetensors (default: 5GB)', byteCount)
    .action((source: string, output: string, flags: ConvertFlags) =>
      convert(source, output, flags, terminal),
    );
  addHelpAfter(command, help);
}

/** Flags that each form has a use for. */
const flagsOf: Readonly<Record<ConvertFlags['to'], readonly (keyof ConvertFlags)[]>> = {
  safetensors: ['base', 'dtype', 'maxShardSize', 'tokenizer'],
  gguf: ['base', 'dtype', 'tokenizer'],
  peft: ['base'],
};
const flagNames = {
  base: '--base',
  dtype: '--dtype',
  maxShardSize: '--max-shard-size',
  tokenizer: '--tokenizer',
} as const;

async function convert(
  checkpoint: string,
  output: string,
  flags: ConvertFlags,
  terminal: Terminal,
): Promise<void> {
  checkFlags(flags);
  const { to, base, dtype, maxShardSize: maxShardBytes, tokenizer } = flags;
  if (to === 'peft') {
    const report = await exportAdapters({ checkpoint, folder: output, baseModelName: base });
    terminal.object({ type: 'converted', to, ...report });
    const { folder, numAdapters, baseModelName } = report;
    terminal.prose(`${folder}: ${numAdapters} adapters of ${baseModelName ?? 'a model without a name'}`);
  } else if (to === 'gguf') {
    const report = await exportGguf({ checkpoint, file: output, baseModel: base, dtype, tokenizer });
    terminal.object({ type: 'converted', to, ...report });
    terminal.prose(
      `${report.file}: ${report.architecture} in ${report.dtype}, ${formatBytes(report.numBytes)}`,
    );
  } else {
    // Whether the type is one of a folder's is for it to say.
    const type = dtype as ExportedModel['dtype'] | undefined;
    const report = await exportModel({
      ...{ checkpoint, folder: output, baseModel: base, dtype: type, maxShardBytes, tokenizer },
    });
    tellFolder(terminal, { type: 'converted', to, ...report });
  }
}

/** @throws ERR_COMPACT_ARGUMENT */
function checkFlags({ to, ...given }: ConvertFlags): void {
  for (const [flag, name] of Object.entries(flagNames) as [keyof typeof flagNames, string][]) {
    if (given[flag] === undefined || flagsOf[to].includes(flag)) continue;
    throw compactError('ERR_COMPACT_ARGUMENT', `${to} has no use for ${name}`, {
      op: name,
      remedy: `Leave out ${name}, or choose another --to`,
    });
  }
}

/** Tells of a model that was written. */
export function tellFolder(
  terminal: Terminal,
  report: ExportedModel & { readonly type: string; readonly to?: string },
): void {
  terminal.object(report);
  const { folder, files, dtype, numMergedAdapters } = report;
  const weights = files.length === 1 ? files[0]! : `${files.length} files of weights`;
  const merged = numMergedAdapters === 0 ? '' : `, ${numMergedAdapters} adapters merged`;
  terminal.prose(`${folder}: ${weights} in ${dtype}${merged}`);
}

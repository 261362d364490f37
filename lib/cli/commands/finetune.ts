import type { Command } from 'commander';
import type { WeightedFile } from '../../data/records/index.js';
import { compactError } from '../../errors.js';
import { exportTrained } from '../../train/fine-tune.js';
import { fineTuneFromRecipe, fineTuneOptions, type FineTuneOptions } from '../../train/index.js';
import type { Trainer } from '../../train/index.js';
import type { CommandContext } from '../command-context.js';
import { formatCount } from '../format.js';
import { positiveNumber } from '../options.js';
import { addRecipeFlags, withRecipeFlags, type RecipeFlags } from '../recipe-flags.js';
import { addRecordFlags, recordOptions, type RecordFlags } from '../record-flags.js';
import { runTraining } from '../run-training.js';
import { renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
What is left out is chosen by the model and the records: sequences hold the longest record, several records share one and
do not see each other, a step learns from about 16 records, three epochs, compact with a rate of 8e-5 (adapters: 2e-4),
an evaluation after each epoch on the 5 % of the records that are held out. Preference pairs are learnt by DPO against the model as it
is before the first step, in one epoch, with a rate of 2e-6 (adapters: 5e-6); --set preference.beta=0.2 changes its strength. Records longer than the model's context are refused,
unless --truncate leaves out their end.

Before the first step it is told what is trained, and what of it is compressed. The trained model stands in the output folder
as model-<step>, in Hugging Face's layout.

--json prints one object a line: type "start", "parts" (what is trained), "step" for every step, and "result" last, whose
"folder" is the trained model.`,
  examples: [
    ['compact-train finetune downloads/my-llama -d chats.jsonl -o runs/mine'],
    ['compact-train finetune downloads/my-llama -d pairs.csv -o runs/mine --method qlora -e 2'],
    ['compact-train finetune downloads/my-llama -d preferences.jsonl -o runs/preferred --method qlora'],
    ['compact-train finetune downloads/my-bert -d intents.csv --classes 77 -o runs/intents'],
    ['compact-train finetune runs/quickstart -d texts.jsonl --validation held-out.jsonl -o runs/more --json'],
  ],
} as const;

interface FinetuneFlags extends RecordFlags {
  readonly data: readonly string[];
  readonly validation?: readonly string[];
  readonly validationFraction?: number;
  readonly packing: boolean;
  readonly dataWeights?: readonly number[];
}

export function registerFinetune(program: Command, context: CommandContext): void {
  const command = program
    .command('finetune')
    .summary('train a model further on records')
    .description(
      'Trains a model that exists on conversations, prompts with completions, texts, preference pairs, or for an encoder texts with their classes, and writes it as a folder that other programs open.',
    )
    .argument('<model>', "a folder in Hugging Face's layout, a checkpoint, or an output folder: its latest")
    .requiredOption(
      '-d, --data <path...>',
      'JSON lines, a JSON array, CSV or parquet, also compressed by gzip',
    )
    .option(
      '--data-weights <weights...>',
      'how often records of each file of --data are seen in an epoch (default: once)',
      weights,
    )
    .option('--validation <path...>', 'held-out records (default: 5 % of the others)')
    .option('--no-packing', 'one record a sequence, and not as many as it has room for');
  addRecordFlags(command);
  addRecipeFlags(command, 'finetune');
  command.action(async (model: string, flags: FinetuneFlags & RecipeFlags) => {
    const options = await fineTuneOptions(optionsOf(model, flags));
    const { terminal } = context;
    context.finish(
      await runTraining(options, context, {
        started: (trainer) => tellParts(trainer, terminal),
        completed: (result) => exportTrained(result, options),
      }),
    );
  });
  addHelpAfter(command, help);
}

/** Flags have the words of recipes, which a method and the data are mappings in. */
function optionsOf(model: string, flags: FinetuneFlags & RecipeFlags): FineTuneOptions {
  const { data: paths, dataWeights: given, validation, packing, ...others } = flags;
  const records = given === undefined ? paths : weightedFiles(paths, given);
  const file = { name: 'the command line', values: {}, locate: () => 'the command line' };
  const { data, ...values } = withRecipeFlags(file, { ...others, textField: undefined }).values;
  return fineTuneFromRecipe({
    ...values,
    model,
    data: {
      ...{ records, validation, ...recordOptions(flags), ...(data as object) },
      ...(!packing && { packing }),
    },
  });
}

/** The weights of a flag that is given once with several, or several times. */
const weights = (text: string, previous: readonly number[] = []): readonly number[] => [
  ...previous,
  positiveNumber(text),
];

function weightedFiles(paths: readonly string[], given: readonly number[]): readonly WeightedFile[] {
  if (given.length !== paths.length)
    throw compactError('ERR_COMPACT_ARGUMENT', 'every file of --data needs a weight', {
      op: '--data-weights',
      expected: `${paths.length} numbers, in the order of the files`,
      received: given.join(' '),
    });
  return paths.map((path, file) => ({ path, weight: given[file]! }));
}

function tellParts({ parts, data }: Trainer, terminal: Terminal): void {
  if (!terminal.quiet) terminal.object({ type: 'parts', parts, statistics: data.statistics });
  terminal.line();
  const rows = parts.map((part) => [
    part.part,
    String(part.numTensors),
    formatCount(part.numParameters),
    part.storedAs,
    part.isTrained ? 'trained' : 'frozen',
    part.numGradients === 0 || part.numGradients >= part.numParameters
      ? ''
      : `to ${((100 * part.numGradients) / part.numParameters).toFixed(1)} %`,
  ]);
  terminal.line(
    renderTable(
      [
        { title: 'part' },
        { title: 'tensors', align: 'right' },
        { title: 'numbers', align: 'right' },
        { title: 'held as' },
        { title: '' },
        { title: 'gradients compressed' },
      ],
      rows,
    ),
  );
}

import type { Command } from 'commander';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { compactError } from '../../errors.js';
import { llama, llamaPresets } from '../../models/index.js';
import type { LlamaPreset } from '../../models/index.js';
import { formatBytes, formatCount } from '../format.js';
import { describeRun, type ListedCheckpoint } from '../list-checkpoints.js';
import { packagedRecipes, readRecipeFile } from '../recipe-file.js';
import { trainerOptions } from '../recipe.js';
import { renderTable, type Column } from '../table.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  examples: [
    ['compact-train ls', 'recipes and models to start from'],
    ['compact-train ls runs/quickstart', 'checkpoints of a run'],
    ['compact-train ls runs/quickstart --json', 'the same for programs'],
  ],
} as const;

export function registerLs(program: Command, terminal: Terminal): void {
  const command = program
    .command('ls')
    .summary('packaged recipes and models, or the checkpoints of a run')
    .description('Lists what comes with the package, or what a run has saved.')
    .argument('[folder]', 'an output folder, or one checkpoint')
    .action(async (folder?: string) => {
      if (folder === undefined) listPackaged(terminal);
      else await listRun(folder, terminal);
    });
  addHelpAfter(command, help);
}

const right = (title: string): Column => ({ title, align: 'right' });

function listPackaged(terminal: Terminal): void {
  const recipes = packagedRecipes().map((name) => {
    const { model, method, batchSize, sequenceLength, gradientAccumulationSteps = 1, maxSteps } =
      trainerOptions(readRecipeFile(name)); // prettier-ignore
    const tokensPerStep = batchSize * sequenceLength * gradientAccumulationSteps;
    return { name, model: model.name, method: method.describe()['name'], tokensPerStep, maxSteps };
  });
  const models = (Object.keys(llamaPresets) as LlamaPreset[]).map((name) => {
    const { numParameters, vocabularySize } = llama(name);
    return { name, numParameters, vocabularySize, bytesBf16: 2 * numParameters, bytesF32: 4 * numParameters };
  });
  recipes.sort((a, b) => sizeOf(models, a.model) - sizeOf(models, b.model));
  terminal.object({ type: 'packaged', recipes, models });
  terminal.line(terminal.style('bold', 'Recipes: compact-train train <recipe>'));
  terminal.line(
    renderTable(
      [{ title: 'recipe' }, { title: 'model' }, { title: 'method' }, right('tokens a step'), right('steps')],
      recipes.map(({ name, model, method, tokensPerStep, maxSteps }) => [
        name,
        model,
        String(method),
        tokensPerStep.toLocaleString('en'),
        maxSteps?.toLocaleString('en') ?? '',
      ]),
    ),
  );
  terminal.line();
  terminal.line(terminal.style('bold', 'Models: --model <model>'));
  terminal.line(
    renderTable(
      [{ title: 'model' }, right('parameters'), right('vocabulary'), right('weights bf16'), right('f32')],
      models.map(({ name, numParameters, vocabularySize, bytesBf16, bytesF32 }) => [
        name,
        formatCount(numParameters),
        vocabularySize.toLocaleString('en'),
        formatBytes(bytesBf16),
        formatBytes(bytesF32),
      ]),
    ),
  );
}

const sizeOf = (models: readonly { name: string; numParameters: number }[], wanted: string): number =>
  models.find(({ name }) => name === wanted)?.numParameters ?? 0;

async function listRun(folder: string, terminal: Terminal): Promise<void> {
  const status = await stat(folder).catch(() => undefined);
  if (status?.isDirectory() !== true)
    throw compactError(
      'ERR_COMPACT_CHECKPOINT_MISSING',
      status === undefined ? `there is no folder ${folder}` : `${folder} is a file`,
      {
        expected: 'the output folder of a run',
        remedy: 'compact-train ls alone lists recipes and models',
      },
    );
  const checkpoints = await describeRun(folder);
  if (checkpoints.length === 0)
    throw compactError('ERR_COMPACT_CHECKPOINT_MISSING', `${folder} holds no checkpoint`, {
      expected: 'folders named checkpoint-<step>',
      remedy: 'Give the output folder of a run that has saved',
    });
  terminal.object({ type: 'run', folder, checkpoints });
  terminal.line(
    renderTable(
      [
        { title: 'checkpoint' },
        right('step'),
        right('size'),
        right('loss'),
        right('held out'),
        { title: '' },
      ],
      checkpoints.map(row),
    ),
  );
}

function row({
  path,
  step,
  maxSteps,
  numBytes,
  loss,
  evalLoss,
  isBest,
  problem,
}: ListedCheckpoint): string[] {
  const number = (value: number | undefined): string => value?.toFixed(4) ?? '';
  const note = problem === undefined ? (isBest ? 'best' : '') : `cannot be used: ${problem}`;
  const steps = maxSteps === undefined ? `${step}` : `${step} of ${maxSteps}`;
  return [basename(path), steps, formatBytes(numBytes), number(loss), number(evalLoss), note];
}

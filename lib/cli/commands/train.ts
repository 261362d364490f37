import type { Command } from 'commander';
import { Trainer, type TrainerOptions, type TrainResult } from '../../train/index.js';
import { exitCodes, type ExitCode } from '../exit-codes.js';
import { formatBytes, formatCount, formatDuration, formatRate } from '../format.js';
import { onInterrupt } from '../interrupt.js';
import { Progress } from '../progress.js';
import { packagedRecipes, readRecipeFile } from '../recipe-file.js';
import { addRecipeFlags, applyRecipeFlags, type RecipeFlags } from '../recipe-flags.js';
import { trainerOptions } from '../recipe.js';
import type { Terminal } from '../terminal.js';

const help = (): string => `
A recipe is a YAML file of training options; unknown keys are refused. Packaged recipes, by name:
  ${packagedRecipes().join(', ')}

--json prints one object a line: type "start", then "step" for every step, and "result" last.
SIGINT (Ctrl-C) or SIGTERM: the running step ends, a checkpoint is saved, exit code 130. A second one ends at once.

Examples:
  compact-train train quickstart
  compact-train train quickstart --method dense --learning-rate 0.001      the same text without compression
  compact-train train recipe.yaml --set method.rankRatio=0.125 --max-steps 2000
  compact-train train recipe.yaml --resume-from-checkpoint auto            start, or go on after an interruption`;

export function registerTrain(program: Command, terminal: Terminal, finish: (code: ExitCode) => void): void {
  const command = program
    .command('train')
    .summary('train a model from a recipe')
    .description(
      'Trains a model as a recipe says: a path, or the name of a packaged recipe. Flags win over the recipe.',
    )
    .argument('<recipe>', 'path of a YAML file, or the name of a packaged recipe')
    .addHelpText('after', help);
  addRecipeFlags(command).action(async (recipe: string, flags: RecipeFlags) => {
    const file = readRecipeFile(recipe);
    applyRecipeFlags(file.values, flags);
    finish(await train(trainerOptions(file), terminal));
  });
}

const endAtOnce = (): void => process.exit(exitCodes.interrupted);

async function train(options: TrainerOptions, terminal: Terminal): Promise<ExitCode> {
  let stop = endAtOnce; // nothing has started, nothing is lost
  using interrupt = onInterrupt((signal) => {
    stop();
    terminal.warn(`\n${signal}: ends after this step and saves. Once more: ends at once, unsaved.`);
  });
  await using trainer = await Trainer.create(options);
  stop = () => trainer.requestStop();
  announce(options, trainer, terminal);
  const progress = new Progress(terminal, options.loggingSteps ?? 10);
  trainer.on('step', (report) => {
    progress.step(report);
    if (!terminal.quiet) terminal.object({ type: 'step', ...report });
  });
  let result: TrainResult;
  try {
    result = await trainer.run();
  } finally {
    progress.stop();
  }
  const graphs = trainer.graphs();
  terminal.object({ type: 'result', interrupted: interrupt.signal.aborted, ...result, graphs });
  summarize(result, terminal);
  for (const { entry, problem } of graphs)
    if (problem !== undefined) terminal.warn(`${entry} did not run as a graph: ${problem}`);
  return interrupt.signal.aborted ? exitCodes.interrupted : exitCodes.done;
}

function announce(options: TrainerOptions, trainer: Trainer, terminal: Terminal): void {
  const { model, method, batchSize, sequenceLength, gradientAccumulationSteps = 1 } = options;
  const { data, device, plan, resumedFrom } = trainer;
  if (!terminal.quiet)
    terminal.object({
      type: 'start',
      model: model.describe(),
      numParameters: model.numParameters,
      method: method.describe(),
      device,
      numTokens: data.numTokens,
      plannedBytes: plan.peakBytes,
      overheadBytes: trainer.memory().overheadBytes,
      resumedFrom,
    });
  const fact = (name: string, text: string): void =>
    terminal.line(`${terminal.style('dim', name.padEnd(7))} ${text}`);
  const batch =
    gradientAccumulationSteps === 1 ? `${batchSize}` : `${gradientAccumulationSteps} x ${batchSize}`;
  fact('model', `${model.name}, ${formatCount(model.numParameters)} parameters, ${options.dtype ?? 'f32'}`);
  fact('method', describeMethod(method.describe()));
  fact(
    'data',
    `${formatCount(data.numTokens)} tokens (${data.tokenizer.name}), ${batch} x ${sequenceLength} a step`,
  );
  fact('device', device.reason === undefined ? device.name : `${device.name} (${device.reason})`);
  const { overheadBytes } = trainer.memory();
  const overhead = overheadBytes === 0 ? '' : `; ${formatBytes(overheadBytes)} beside for context and code`;
  fact('memory', `${formatBytes(plan.peakBytes)}, planned and allocated${overhead}`);
  if (resumedFrom !== undefined) fact('from', resumedFrom);
  terminal.line();
}

/** Name and the options that decide memory and speed. */
function describeMethod(description: Readonly<Record<string, unknown>>): string {
  const shown = ['rank', 'rankRatio', 'store', 'sharing', 'refreshInterval', 'updateScale'];
  const options = shown
    .filter((key) => description[key] !== undefined)
    .map((key) => `${key} ${String(description[key])}`);
  return [String(description['name']), ...options].join(', ');
}

function summarize(result: TrainResult, terminal: Terminal): void {
  const { reason, step, evaluation, checkpoint, tokensPerSecond, durationMs } = result;
  const parts = [
    `${reason === 'completed' ? 'Done' : 'Stopped'} at step ${step} after ${formatDuration(durationMs / 1000)}`,
    formatRate(tokensPerSecond),
  ];
  if (evaluation !== undefined)
    parts.push(
      `held out: loss ${evaluation.loss.toFixed(4)}, perplexity ${evaluation.perplexity.toFixed(2)}`,
    );
  terminal.line(`\n${terminal.style('bold', parts[0]!)}, ${parts.slice(1).join(', ')}`);
  if (checkpoint === undefined) return;
  terminal.line(`Saved ${checkpoint.path} (${formatBytes(checkpoint.numBytes)})`);
  terminal.line(terminal.style('dim', `Try: compact-train sample ${checkpoint.path} --prompt "..."`));
}

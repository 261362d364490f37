import type { Command } from 'commander';
import { compactError, isCompactError } from '../../errors.js';
import { listCheckpoints, Trainer, type TrainerOptions, type TrainResult } from '../../train/index.js';
import type { CommandContext } from '../command-context.js';
import { exitCodes, type ExitCode } from '../exit-codes.js';
import { formatBytes, formatCount, formatDuration, formatRate } from '../format.js';
import { endAtOnce, onInterrupt } from '../interrupt.js';
import { Progress } from '../progress.js';
import { packagedRecipes, readRecipeFile } from '../recipe-file.js';
import { addRecipeFlags, withRecipeFlags, type RecipeFlags } from '../recipe-flags.js';
import { trainerOptions } from '../recipe.js';
import { resumeCommand } from '../resume-command.js';
import type { Terminal } from '../terminal.js';
import { tokenizeProgress } from '../tokenize-progress.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
A recipe is a YAML file of training options; unknown keys are refused. Packaged recipes, by name:
${packagedRecipes().join(', ')}.

--json prints one object a line: type "start", then "step" for every step ("warning" between
them where something went wrong that the run does not depend on), and "result" last.

SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR1, SIGUSR2: the running step ends, a checkpoint is saved, exit code 130, and
the command that goes on is printed. A second SIGINT or SIGTERM ends at once, unsaved.`,
  examples: [
    ['compact-train train quickstart'],
    ['compact-train train quickstart --method dense -l 0.001', 'the same text without compression'],
    ['compact-train train recipe.yaml -r 1/8 -n 2000', 'flags win over the recipe'],
    ['compact-train train recipe.yaml --from downloads/my-llama', 'start from weights that others have made'],
    [
      'compact-train train recipe.yaml --resume-from-checkpoint auto',
      'start, or go on after an interruption',
    ],
  ],
} as const;

export function registerTrain(program: Command, context: CommandContext): void {
  const command = program
    .command('train')
    .summary('train a model from a recipe')
    .description(
      'Trains a model as a recipe says: a path, or the name of a packaged recipe. Flags win over the recipe.',
    )
    .argument('<recipe>', 'path of a YAML file, or the name of a packaged recipe');
  addHelpAfter(command, help);
  addRecipeFlags(command).action(async (recipe: string, flags: RecipeFlags) => {
    const file = withRecipeFlags(readRecipeFile(recipe), flags);
    context.finish(await train(trainerOptions(file), context));
  });
}

/** Time for a start that is interrupted to take back what it made. */
const startGraceMs = 10_000;

async function train(options: TrainerOptions, { terminal, args }: CommandContext): Promise<ExitCode> {
  const starting = new AbortController();
  let stop = (): void => {
    starting.abort(interrupt.signal.reason);
    setTimeout(endAtOnce, startGraceMs).unref(); // nothing is saved yet, nothing is lost
  };
  using interrupt = onInterrupt(
    () => stop(),
    () => terminal.endStatus(),
  );
  const onTokenize = tokenizeProgress(terminal);
  await using trainer = await start({ ...options, onTokenize, signal: starting.signal }, args);
  stop = () => {
    trainer.requestStop();
    terminal.warn(stopNotice(interrupt.signal, options));
  };
  announce(options, trainer, terminal);
  const progress = new Progress(terminal, options.loggingSteps ?? 10);
  trainer.on('step', (report) => {
    progress.step(report);
    if (!terminal.quiet) terminal.object({ type: 'step', ...report });
  });
  trainer.on('warning', ({ message }) => {
    terminal.warn(message);
    terminal.object({ type: 'warning', message });
  });
  let result: TrainResult;
  try {
    result = await trainer.run();
  } finally {
    progress.stop();
  }
  const interrupted = interrupt.signal.aborted;
  const goOn = interrupted && result.checkpoint !== undefined ? resumeCommand(args) : undefined;
  const graphs = trainer.graphs();
  terminal.object({ type: 'result', interrupted, resumeCommand: goOn, ...result, graphs });
  summarize(result, goOn, terminal);
  for (const { entry, problem } of graphs)
    if (problem !== undefined) terminal.warn(`${entry} did not run as a graph: ${problem}`);
  return interrupted ? exitCodes.interrupted : exitCodes.done;
}

/** A trainer; an interruption before the first step ends in an error that says so. */
async function start(
  options: TrainerOptions & { readonly signal: AbortSignal },
  args: readonly string[],
): Promise<Trainer> {
  const { signal } = options;
  let trainer: Trainer;
  try {
    trainer = await Trainer.create(options);
  } catch (error) {
    if (signal.aborted) throw beforeFirstStep(signal);
    throw await sameRunRefused(error, options, args);
  }
  if (!signal.aborted) return trainer;
  await trainer.close();
  throw beforeFirstStep(signal);
}

function beforeFirstStep({ reason }: AbortSignal): Error {
  const what = `${(reason as Error).message} before the first step, nothing is saved`;
  return compactError('ERR_COMPACT_ABORTED', what);
}

/** A folder that holds checkpoints already is refused; most often they are those of this very command. */
async function sameRunRefused(
  error: unknown,
  { outputDirectory, resumeFromCheckpoint }: TrainerOptions,
  args: readonly string[],
): Promise<unknown> {
  const isRefusal = isCompactError(error, 'ERR_COMPACT_CONFIG_VALUE') && error.op === 'outputDirectory';
  if (!isRefusal || outputDirectory === undefined || resumeFromCheckpoint !== undefined) return error;
  const latest = (await listCheckpoints(outputDirectory)).at(-1);
  if (latest === undefined) return error;
  return compactError('ERR_COMPACT_CONFIG_VALUE', `${outputDirectory} holds a run already`, {
    op: 'outputDirectory',
    expected: 'a folder without checkpoints, or to go on from the latest',
    received: latest.path,
    remedy: `Go on with: ${resumeCommand(args)}\nOr start anew in another folder: --output-directory <folder>`,
    cause: error,
  });
}

function stopNotice({ reason }: AbortSignal, { outputDirectory }: TrainerOptions): string {
  const name = (reason as Error).message;
  return outputDirectory === undefined
    ? `${name}. Ends after this step; without an output folder nothing is saved. Once more: ends at once.`
    : `${name}. Ends after this step and saves. Once more: ends at once, unsaved.`;
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
      warnings: data.warnings,
    });
  const fact = (name: string, text: string): void =>
    terminal.prose(text, `${terminal.style('dim', name.padEnd(7))} `);
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
  else if (options.baseModel !== undefined) fact('from', options.baseModel);
  for (const warning of data.warnings) terminal.warn(warning);
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

function summarize(result: TrainResult, goOn: string | undefined, terminal: Terminal): void {
  const { reason, step, evaluation, checkpoint, tokensPerSecond, durationMs } = result;
  const parts = [
    `${reason === 'completed' ? 'Done' : 'Stopped'} at step ${step} after ${formatDuration(durationMs / 1000)}`,
    formatRate(tokensPerSecond),
  ];
  if (evaluation !== undefined)
    parts.push(
      `held out: loss ${evaluation.loss.toFixed(4)}, perplexity ${evaluation.perplexity.toFixed(2)}`,
    );
  terminal.line();
  terminal.prose(`${terminal.style('bold', parts[0]!)}, ${parts.slice(1).join(', ')}`);
  if (checkpoint === undefined) return;
  terminal.line(`Saved ${checkpoint.path} (${formatBytes(checkpoint.numBytes)})`);
  if (goOn !== undefined) terminal.line(`Go on with: ${terminal.style('bold', goOn)}`);
  else terminal.line(terminal.style('dim', `Try: compact-train sample ${checkpoint.path} --prompt "..."`));
}

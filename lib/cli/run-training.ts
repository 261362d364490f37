import { compactError, isCompactError } from '../errors.js';
import type { Model } from '../models/index.js';
import { listCheckpoints, Trainer } from '../train/index.js';
import type { FineTuneResult, TrainerOptions, TrainResult } from '../train/index.js';
import type { CommandContext } from './command-context.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { formatBytes, formatCount, formatDuration, formatEvaluation, formatRate } from './format.js';
import { endAtOnce, onInterrupt } from './interrupt.js';
import { Progress } from './progress.js';
import { referenceProgress } from './reference-progress.js';
import { resumeCommand } from './resume-command.js';
import type { Terminal } from './terminal.js';
import { tokenizeProgress } from './tokenize-progress.js';

/** Time for a start that is interrupted to take back what it made. */
const startGraceMs = 10_000;

/** What a command does beside training. */
export interface TrainingSteps {
  /** Told the trainer before its first step, when it has been announced. */
  readonly started?: (trainer: Trainer) => void;
  /** What becomes of a run that has ended, for its last line; an interrupted one is left as it is. */
  readonly completed?: (result: TrainResult) => Promise<Partial<FineTuneResult> & TrainResult>;
}

/** Trains as the options say, with progress, and ends with a checkpoint when it is interrupted. */
export async function runTraining(
  options: TrainerOptions,
  { terminal, args }: CommandContext,
  { started = () => {}, completed = (result) => Promise.resolve(result) }: TrainingSteps = {},
): Promise<ExitCode> {
  const starting = new AbortController();
  let stop = (): void => {
    starting.abort(interrupt.signal.reason);
    setTimeout(endAtOnce, startGraceMs).unref(); // nothing is saved yet, nothing is lost
  };
  using interrupt = onInterrupt(
    () => stop(),
    () => terminal.endStatus(),
  );
  const told = { onTokenize: tokenizeProgress(terminal), onReference: referenceProgress(terminal) };
  await using trainer = await start({ ...options, ...told, signal: starting.signal }, args);
  stop = () => {
    trainer.requestStop();
    terminal.warn(stopNotice(interrupt.signal, options));
  };
  announce(options, trainer, terminal);
  started(trainer);
  terminal.line();
  const progress = new Progress(terminal, options.loggingSteps ?? 10);
  trainer.on('step', (report) => {
    progress.step(report);
    if (!terminal.quiet) terminal.object({ type: 'step', ...report });
  });
  trainer.on('warning', ({ message }) => {
    terminal.warn(message);
    terminal.object({ type: 'warning', message });
  });
  let result: Partial<FineTuneResult> & TrainResult;
  try {
    result = await trainer.run();
  } finally {
    progress.stop();
  }
  const interrupted = interrupt.signal.aborted;
  if (!interrupted) result = await completed(result);
  const goOn = interrupted && result.checkpoint !== undefined ? resumeCommand(args) : undefined;
  const graphs = trainer.graphs();
  terminal.object({ type: 'result', interrupted, resumeCommand: goOn, ...result, graphs });
  summarize(result, options.model, goOn, terminal);
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
  if (options.preference !== undefined)
    fact('loss', 'preferences against the model that the run starts from (DPO)');
  fact(
    'data',
    `${formatCount(data.numTokens)} tokens (${data.tokenizer.name}), ${batch} x ${sequenceLength} a step`,
  );
  fact('device', device.reason === undefined ? device.name : `${device.name} (${device.reason})`);
  const { overheadBytes } = trainer.memory();
  const overhead = overheadBytes === 0 ? '' : `; ${formatBytes(overheadBytes)} beside for context and code`;
  fact('memory', `${formatBytes(plan.peakBytes)}, planned and allocated${overhead}`);
  if (resumedFrom !== undefined) fact('from', resumedFrom);
  else if (options.baseModel !== undefined) {
    const adapters = options.adapter === undefined ? '' : `, with the adapters of ${options.adapter}`;
    fact('from', options.baseModel + adapters);
  }
  for (const warning of data.warnings) terminal.warn(warning);
}

/** Name and the options that decide memory and speed. */
function describeMethod(description: Readonly<Record<string, unknown>>): string {
  const shown = ['rank', 'rankRatio', 'store', 'sharing', 'refreshInterval', 'updateScale'];
  const options = shown
    .filter((key) => description[key] !== undefined)
    .map((key) => `${key} ${String(description[key])}`);
  return [String(description['name']), ...options].join(', ');
}

function summarize(
  result: Partial<FineTuneResult> & TrainResult,
  { isCausal }: Model,
  goOn: string | undefined,
  terminal: Terminal,
): void {
  const { reason, step, evaluation, checkpoint, bestModel, tokensPerSecond, durationMs, folder } = result;
  const parts = [
    `${{ completed: 'Done', stopped: 'Stopped', earlyStopped: 'Ended early' }[reason]} at step ${step} after ${formatDuration(durationMs / 1000)}`,
    formatRate(tokensPerSecond),
  ];
  if (evaluation !== undefined) parts.push(`held out: ${formatEvaluation(evaluation)}`);
  if (bestModel !== undefined)
    parts.push(`best at step ${bestModel.step}: ${bestModel.metric} ${bestModel.value.toFixed(4)}`);
  terminal.line();
  terminal.prose(`${terminal.style('bold', parts[0]!)}, ${parts.slice(1).join(', ')}`);
  if (checkpoint === undefined) return;
  terminal.line(`Saved ${checkpoint.path} (${formatBytes(checkpoint.numBytes)})`);
  if (folder !== undefined) terminal.line(`Model ${terminal.style('bold', folder)}`);
  if (result.adapters !== undefined) terminal.line(`Adapters ${terminal.style('bold', result.adapters)}`);
  if (goOn !== undefined) terminal.line(`Go on with: ${terminal.style('bold', goOn)}`);
  else if (isCausal === true)
    terminal.line(terminal.style('dim', `Try: compact-train sample ${checkpoint.path} --prompt "..."`));
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { prepareData, type Batch } from '../../lib/data/index.js';
import { methodFromDescription } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { vocabularyOf } from '../../lib/train/batch-fields.js';
import { Trainer, type TrainerOptions } from '../../lib/train/index.js';
import { positiveInteger, positiveNumber } from '../../lib/cli/options.js';
import { describeRequest } from '../../lib/cli/plan-request.js';
import type { Terminal } from '../../lib/cli/terminal.js';
import { cellOptions, requestOf, type CellOptions } from './cell-options.js';
import { benchDevice } from '../../lib/cli/bench/device.js';
import { processors, thisMachine } from '../../lib/cli/bench/machine.js';

const help = `
Trains on the State of the Union addresses, byte by byte, at a constant learning rate. Equal seeds give equal weights,
projections and batches on every device: scripts/gpu-bench holds the losses of a GPU against those of a CPU.

Examples:
  scripts/bench losses --model llama-60m --method compact --learning-rate 0.004 --json
  scripts/bench losses --model llama-60m --inputs build/inputs      what a PyTorch program begins with`;

interface LossesFlags extends CellOptions {
  readonly steps: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly inputs?: string;
  readonly layers?: number;
}

export function registerLossesBench(bench: Command, terminal: Terminal): void {
  cellOptions(bench.command('losses'))
    .summary('loss of every step of a short run')
    .description('Trains one method on one device and tells the loss of every step.')
    .option('--steps <count>', 'optimizer steps', positiveInteger, 200)
    .option('--learning-rate <number>', 'of every step', positiveNumber, 0.001)
    .option('--seed <number>', 'of weights, projections and the order of the text', positiveInteger, 42)
    .option('--inputs <folder>', 'write initial weights and batches there, and do not train')
    .addOption(
      new Option('--layers <count>', 'instead of those of the preset').argParser(positiveInteger).hideHelp(),
    )
    .addHelpText('after', help)
    .action((flags: LossesFlags) => lossesBench(flags, terminal));
}

async function lossesBench(flags: LossesFlags, terminal: Terminal): Promise<void> {
  const device = benchDevice(flags.device, flags.threads);
  const request = requestOf(flags);
  const options: TrainerOptions = {
    model: llama(flags.model, flags.layers === undefined ? {} : { numHiddenLayers: flags.layers }),
    method: methodFromDescription(request.method),
    data: { train: 'sotu', tokenizer: 'bytes' },
    batchSize: flags.batch,
    sequenceLength: flags.sequence,
    maxSteps: flags.steps,
    learningRate: flags.learningRate,
    lrSchedulerType: 'constant',
    seed: flags.seed,
    dtype: flags.dtype,
    recompute: flags.recompute,
    blas: flags.blas,
    device: device.word,
    threads: flags.threads,
  };
  const provider = describeRequest(request);
  if (flags.inputs !== undefined) {
    const written = await writeInputs(options, flags.inputs);
    terminal.object({ type: 'bench-losses', provider, ...written });
    terminal.line(`${provider}: initial weights in ${written.weights}, batches in ${written.batches}`);
    return;
  }
  const losses: number[] = [];
  await using trainer = await Trainer.create(options);
  for await (const { loss } of trainer) losses.push(loss);
  const machine = thisMachine(device);
  const { threads, instructionSet } = machine;
  const on = { device: processors(machine), threads, instructionSet };
  terminal.object({ type: 'bench-losses', provider, ...on, losses });
  terminal.line(
    `${provider}: ${losses[0]!.toFixed(4)} in the first step, ${losses.at(-1)!.toFixed(4)} in step ${losses.length}`,
  );
}

/**
 * model.safetensors of step 0, and batches.i32: for each step the tokens (batch, sequence), then the targets of the
 * same shape, as 32-bit integers.
 */
async function writeInputs(
  options: TrainerOptions,
  folder: string,
): Promise<{ readonly weights: string; readonly batches: string }> {
  await using trainer = await Trainer.create({ ...options, outputDirectory: folder });
  const { path } = await trainer.save();
  const { sequenceLength, batchSize, maxSteps = 1, seed = 42, model } = options;
  const vocabularySize = vocabularyOf(model);
  const prepared = await prepareData(options.data, { sequenceLength, vocabularySize, seed });
  await using dataset = await prepared.open(join(folder, 'data'));
  const parts: Batch['inputs'][string][] = [];
  for (let step = 0; step < maxSteps; step++) {
    const { inputs } = await dataset.trainBatch(step * batchSize, batchSize);
    parts.push(inputs['tokens']!, inputs['targets']!);
  }
  const batches = join(folder, 'batches.i32');
  await writeFile(batches, Buffer.concat(parts.map(({ buffer }) => Buffer.from(buffer))));
  return { weights: join(path, 'model.safetensors'), batches };
}

import type { Command } from 'commander';
import { formatRate } from '../../lib/cli/format.js';
import { positiveInteger } from '../../lib/cli/options.js';
import type { Terminal } from '../../lib/cli/terminal.js';
import { compile } from '../../lib/compile/index.js';
import { dense } from '../../lib/methods/index.js';
import type { Model } from '../../lib/graph/index.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';
import { CachedSequences } from '../../lib/train/generation/cached-sequences.js';
import { drawToken } from '../../lib/train/generation/draw-token.js';
import { loadModel } from '../../lib/train/index.js';
import { writeConstants } from '../../lib/train/weights/tensor-files.js';
import { llama2cRate } from '../peers/llama2c.js';

interface GenerationFlags {
  readonly model: string;
  readonly tokens: number;
  readonly batchSize: number;
  readonly threads: number;
  readonly dtype: 'f32' | 'bf16';
  readonly llama2c?: string;
}

/** Runs of a whole sequence that are timed; each costs what a token costs without a cache. */
const numWholeRuns = 5;

export function registerGenerationBench(program: Command, terminal: Terminal): void {
  program
    .command('generation')
    .description(
      'Tokens a second with the cache of keys and values and without it, beside llama2.c where asked for.',
    )
    .option('-m, --model <name>', 'a preset, or a config.json', 'llama-demo')
    .option('-n, --tokens <count>', 'tokens to write, and of the context', positiveInteger, 512)
    .option('-b, --batch-size <sequences>', 'texts at a time', positiveInteger, 1)
    .option('-t, --threads <count>', 'CPU threads', positiveInteger, 1)
    .option('--dtype <dtype>', 'f32 or bf16', 'f32')
    .option(
      '--llama2c <run.c>',
      "path of llama2.c's run.c, which is compiled with -Ofast and run on one thread",
    )
    .action((flags: GenerationFlags) => bench(flags, terminal));
}

async function bench(flags: GenerationFlags, terminal: Terminal): Promise<void> {
  const model = loadModel(flags.model);
  const ours = await ourRates(model, flags);
  const peer =
    flags.llama2c === undefined ? undefined : await llama2cRate(flags.llama2c, model, flags.tokens);
  const result = { type: 'generation', ...flags, ...ours, llama2cTokensPerSecond: peer };
  terminal.object(result);
  terminal.line(`with the cache     ${formatRate(ours.tokensPerSecond)}`);
  terminal.line(`without            ${formatRate(ours.wholeTokensPerSecond)}`);
  terminal.line(`ratio              ${(ours.tokensPerSecond / ours.wholeTokensPerSecond).toFixed(1)}`);
  terminal.line(`engine's share     ${(100 * ours.engineShare).toFixed(0)} %`);
  if (peer === undefined) return;
  terminal.line(`llama2.c           ${formatRate(peer)}`);
  terminal.line(`of llama2.c        ${(ours.tokensPerSecond / peer).toFixed(2)}`);
}

/** Greedy text from random weights. Without the cache every token costs a pass over the whole context. */
async function ourRates(model: Model, { tokens, batchSize, threads, dtype }: GenerationFlags) {
  const sequenceLength = tokens;
  const plan = compile({
    ...{ model, method: dense(), dtype, sequenceLength, batchSize, generateBatchSize: batchSize },
    evaluateBatchSize: 1,
    entries: ['initialize', 'evaluate', 'generate'],
    target: cpuTarget({ threads }),
  });
  await using engine = await Engine.open({ device: 'cpu', threads });
  await engine.load(plan);
  await writeConstants(engine, plan, model, sequenceLength);
  await engine.run('initialize');

  const inputs = { tokens: new Int32Array(tokens), targets: new Int32Array(tokens) };
  let wholeMs = Infinity;
  for (let run = 0; run < numWholeRuns; run++) {
    const { durationMs } = await engine.run('evaluate', { inputs, scalars: { lossScale: 1 } });
    wholeMs = Math.min(wholeMs, durationMs);
  }

  const sequences = new CachedSequences(engine, plan, sequenceLength);
  const write = async (): Promise<number> => {
    const texts = Array.from({ length: batchSize }, () => [1]);
    const start = performance.now();
    for (let count = 1; count < tokens; count++) {
      const logits = await sequences.next(texts);
      for (const [index, text] of texts.entries())
        text.push(drawToken(logits[index]!, { temperature: 0, topK: 0, topP: 1 }, 0));
    }
    return performance.now() - start;
  };
  await write();
  const writtenMs = Math.min(await write(), await write());
  return {
    tokensPerSecond: (1000 * batchSize * (tokens - 1)) / writtenMs,
    wholeTokensPerSecond: 1000 / wholeMs,
    engineShare: (await engineMs(engine, tokens, batchSize)) / writtenMs,
  };
}

/** Time in the engine alone of as many runs. */
async function engineMs(engine: Engine, tokens: number, batchSize: number): Promise<number> {
  let sum = 0;
  for (let position = 0; position < tokens - 1; position++) {
    const inputs = { tokens: new Int32Array(batchSize), positions: new Int32Array(batchSize).fill(position) };
    sum += (await engine.run('generate', { inputs })).durationMs;
  }
  return sum;
}

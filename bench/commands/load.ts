import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { compile } from '../../lib/compile/index.js';
import { makeTemporaryFolder, writeSafetensors, type TensorSource } from '../../lib/formats/index.js';
import { Graph, numElements } from '../../lib/graph/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { deviceTarget, Engine } from '../../lib/runtime/index.js';
import { openBaseModel } from '../../lib/train/weights/base-model.js';
import { benchDevice } from '../../lib/cli/bench/device.js';
import { appendToLedger, type LedgerRow } from '../../lib/cli/bench/ledger.js';
import { quantiles } from '../../lib/cli/bench/quantiles.js';
import { choice, positiveInteger } from '../../lib/cli/options.js';
import { renderTable } from '../../lib/cli/table.js';
import type { Terminal } from '../../lib/cli/terminal.js';

const help = `
Writes a LLaMA of zeros as one safetensors file, and then, in turns, reads the file from the page cache into one
buffer, and loads it into an engine of the CPU, which is what a run that starts from a model does.`;

interface LoadFlags {
  readonly layers: number;
  readonly dtype: 'f32' | 'bf16';
  readonly rounds: number;
  readonly ledger?: string;
}

export function registerLoadBench(bench: Command, terminal: Terminal): void {
  bench
    .command('load')
    .summary('weights from a file into an engine, beside reading the file')
    .description('Times how weights come from a safetensors file into an engine.')
    .option('--layers <count>', 'of 25 million parameters each', positiveInteger, 17)
    .addOption(choice('--dtype <type>', 'of the file and of the engine', ['f32', 'bf16']).default('bf16'))
    .option('--rounds <count>', 'loads', positiveInteger, 3)
    .option('--ledger <file>', 'append the figures as JSON lines')
    .addHelpText('after', help)
    .action((flags: LoadFlags) => loadBench(flags, terminal));
}

async function loadBench({ layers, dtype, rounds, ledger }: LoadFlags, terminal: Terminal): Promise<void> {
  const model = llama({
    vocabSize: 32_000,
    hiddenSize: 1536,
    intermediateSize: 3584,
    numAttentionHeads: 12,
    numHiddenLayers: layers,
    tieWordEmbeddings: true,
  });
  const folder = await makeTemporaryFolder();
  try {
    const path = join(folder, 'model.safetensors');
    await writeSafetensors(path, zeroTensors(model, dtype), { format: 'pt' });
    await using engine = await Engine.open({ device: 'cpu' });
    const target = deviceTarget('cpu', { threads: engine.threads });
    const size = { batchSize: 1, sequenceLength: 8 };
    const plan = compile({ model, method: dense(), dtype, ...size, target, entries: ['evaluate'] });
    await engine.load(plan);
    const buffer = Buffer.alloc(16 * 2 ** 20);
    const numBytes = await readWhole(path, buffer); // now the system holds it
    const [reads, loads]: [number[], number[]] = [[], []];
    const before = process.resourceUsage().maxRSS;
    for (let round = 0; round < rounds; round++) {
      reads.push(await rateOf(numBytes, () => readWhole(path, buffer)));
      await using base = await openBaseModel(path, model);
      loads.push(await rateOf(numBytes, () => base.loadInto(engine, plan)));
    }
    const overheadBytes = 1024 * (process.resourceUsage().maxRSS - before) - plan.persistentBytes;
    const shape = `${(numBytes / 1e9).toFixed(2)} GB`;
    const row = { case: 'load', metric: 'rate', unit: 'GB/s', shape, dtype, repeats: rounds };
    const rows: LedgerRow[] = [
      { ...row, provider: 'page cache', ...quantiles(reads) },
      { ...row, provider: 'compact-train', ...quantiles(loads) },
    ];
    terminal.object({ type: 'bench-load', rows, overheadBytes: Math.max(0, overheadBytes) });
    terminal.line(
      renderTable(
        [{ title: 'from' }, { title: 'GB/s', align: 'right' }],
        rows.map(({ provider, p50 }) => [provider, p50.toFixed(2)]),
      ),
    );
    terminal.line(`  beside the plan's bytes: ${(Math.max(0, overheadBytes) / 2 ** 20).toFixed(0)} MiB`);
    if (ledger !== undefined) appendToLedger(ledger, rows, benchDevice('cpu', engine.threads));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function rateOf(numBytes: number, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return numBytes / 1e9 / ((performance.now() - start) / 1000);
}

async function readWhole(path: string, buffer: Buffer): Promise<number> {
  await using file = await open(path, 'r');
  let position = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return position;
    position += bytesRead;
  }
}

/** Every tensor of a model's files, all zeros. */
function zeroTensors(model: ReturnType<typeof llama>, dtype: 'f32' | 'bf16'): TensorSource[] {
  const graph = new Graph();
  model.build(graph, { batchSize: 1, sequenceLength: 1, dtype, purpose: 'evaluate' });
  const shapes = new Map(graph.parameters.map(({ name, shape }) => [name, shape]));
  return model.weights.map(({ parameter, tensor, layout }) => {
    const own = shapes.get(parameter)!;
    const shape = layout === 'transposed' ? own.toReversed() : own;
    return {
      name: tensor,
      dtype,
      shape,
      async *read() {
        const bytes = (dtype === 'f32' ? 4 : 2) * numElements(shape);
        for (let done = 0; done < bytes; done += 2 ** 22)
          yield new Uint8Array(Math.min(2 ** 22, bytes - done));
      },
    };
  });
}

import { Option, type Command } from 'commander';
import {
  adamDirection,
  adamW,
  addRmsNorm,
  attention,
  attentionBackward,
  Graph,
  linearCrossEntropyBackward,
  matmul,
  producersOf,
  numElements,
  project,
  projectBackUpdate,
  rmsNorm,
  rmsNormBackward,
  rope,
  swiglu,
  swigluBackward,
  valueBytes,
  type DType,
  type Node,
  type Value,
} from '../../lib/graph/index.js';
import { Engine } from '../../lib/runtime/index.js';
import { positiveInteger, ratio } from '../../lib/cli/options.js';
import { renderTable } from '../../lib/cli/table.js';
import type { Terminal } from '../../lib/cli/terminal.js';
import { benchDevice, deviceOption, type BenchDevice } from '../../lib/cli/bench/device.js';
import { kernelPlan } from '../../lib/cli/bench/steps/kernel-plan.js';
import { appendToLedger, type LedgerRow } from '../../lib/cli/bench/ledger.js';
import { quantiles } from '../../lib/cli/bench/quantiles.js';

const help = `
Runs each operation of a layer alone, on the engine's thread and pool, and reports its rate: floating-point operations
for products, bytes read and written for element-wise work.

Examples:
  scripts/bench kernels
  scripts/bench kernels --dtype bf16 --threads 1 --tokens 2048 --hidden 512 --ffn 1376`;

interface KernelFlags {
  readonly tokens: number;
  readonly hidden: number;
  readonly ffn: number;
  readonly heads: number;
  readonly vocabulary: number;
  readonly rankRatio: number;
  readonly dtype?: 'f32' | 'bf16';
  readonly device: string;
  readonly threads?: number;
  readonly repeats: number;
  readonly ledger?: string;
}

interface KernelRow {
  readonly op: string;
  readonly shape: string;
  readonly dtype: string;
  readonly p20: number; // microseconds
  readonly p50: number;
  readonly p80: number;
  readonly repeats: number;
  readonly gflopsPerSecond: number;
  readonly gigabytesPerSecond: number;
}

export function registerKernelsBench(bench: Command, terminal: Terminal): void {
  bench
    .command('kernels')
    .summary('rate of each operation')
    .description('Times the operations of one layer, each alone.')
    .option('--tokens <count>', 'rows of the activations', positiveInteger, 2048)
    .option('--hidden <width>', 'hidden width', positiveInteger, 512)
    .option('--ffn <width>', 'feed-forward width', positiveInteger, 1376)
    .option('--heads <count>', 'attention heads', positiveInteger, 8)
    .option('--vocabulary <count>', 'of the loss', positiveInteger, 32000)
    .option('--rank-ratio <ratio>', 'of the projection', ratio, 0.25)
    .addOption(new Option('--dtype <type>', 'one dtype (default: both)').choices(['f32', 'bf16']))
    .addOption(deviceOption())
    .option('--threads <count>', 'CPU threads (default: all physical cores)', positiveInteger)
    .option('--repeats <count>', 'timed runs of each operation', positiveInteger, 20)
    .option('--ledger <file>', 'append the figures as JSON lines')
    .addHelpText('after', help)
    .action((flags: KernelFlags) => kernelsBench(flags, terminal));
}

async function kernelsBench(flags: KernelFlags, terminal: Terminal): Promise<void> {
  const dtypes = flags.dtype === undefined ? (['f32', 'bf16'] as const) : [flags.dtype];
  const device = benchDevice(flags.device, flags.threads);
  const rows: KernelRow[] = [];
  for (const dtype of dtypes)
    rows.push(...(await timeKernels(layerGraph(flags, dtype), device, flags, dtype)));
  if (flags.ledger !== undefined) appendToLedger(flags.ledger, rows.map(ledgerRow), device);
  terminal.object({ type: 'bench-kernels', threads: flags.threads, rows });
  const right = { align: 'right' } as const;
  terminal.line(
    renderTable(
      [
        { title: 'operation' },
        { title: 'operands' },
        { title: 'dtype' },
        { title: 'median us', ...right },
        { title: 'GFLOP/s', ...right },
        { title: 'GB/s', ...right },
      ],
      rows.map((row) => [
        row.op,
        row.shape,
        row.dtype,
        row.p50.toFixed(0),
        row.gflopsPerSecond.toFixed(0),
        row.gigabytesPerSecond.toFixed(1),
      ]),
    ),
  );
}

/** The operations of a step that take its time, on operands of one layer's shapes. */
function layerGraph({ tokens, hidden, ffn, heads, vocabulary, rankRatio }: KernelFlags, dtype: DType): Graph {
  const graph = new Graph();
  const tensor = (name: string, shape: readonly number[], type: DType = dtype): Value =>
    graph.input(name, shape, type);
  const x = tensor('x', [tokens, hidden]);
  const wide = tensor('wide', [tokens, ffn]);
  const weight = tensor('weight', [hidden, ffn]);
  const rank = Math.max(8, Math.round((hidden * rankRatio) / 8) * 8);
  const sequenceLength = Math.min(256, tokens);
  const headSize = hidden / heads;

  matmul(x, weight);
  matmul(wide, weight, { transposeB: true });
  matmul(x, wide, { transposeA: true });

  const projection = { seed: 42, tensorId: 0, rank, distribution: 'gaussian' } as const;
  const compressed = project(x, projection, 0);
  const gradient = matmul(compressed, wide, { transposeA: true, dtype: 'f32' });
  const moments = (shape: readonly number[]) => ({
    expAvg: { values: tensor('expAvg', shape, 'f32') },
    expAvgSq: { values: tensor('expAvgSq', shape, 'f32') },
  });
  const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const steps = { firstMomentStep: 1, secondMomentStep: 1 };
  const direction = adamDirection(gradient, moments(gradient.shape), {
    ...adam,
    ...steps,
    dtype: weight.dtype,
  });
  projectBackUpdate(weight, direction, projection, { epoch: 0, learningRate: 1e-3 });
  adamW(weight, tensor('gradient', weight.shape, 'f32'), moments(weight.shape), {
    ...adam,
    learningRate: 1e-3,
    step: 1,
  });

  const norm = tensor('norm', [hidden]);
  const normed = rmsNorm(x, norm, 1e-6);
  const rstd = producersOf(graph.nodes).get(normed)!.outputs[1]!;
  addRmsNorm(x, tensor('branch', x.shape), norm, 1e-6);
  rmsNormBackward({ x, weight: norm, rstd, dy: tensor('dy', x.shape) }, 'f32');
  swiglu(wide, tensor('up', wide.shape));
  swigluBackward(wide, tensor('up', wide.shape), tensor('dy', wide.shape));

  const table = (name: string) => tensor(name, [sequenceLength, headSize / 2], 'f32');
  const [k, v] = [tensor('k', x.shape), tensor('v', x.shape)];
  rope(k, table('cos'), table('sin'), { headSize });
  const o = attention(x, k, v, { sequenceLength, headSize });
  const { outputs, attributes } = producersOf(graph.nodes).get(o)!;
  attentionBackward({ q: x, k, v, o, lse: outputs[1]!, dO: tensor('dO', x.shape) }, attributes);

  const loss = { lossScale: 1 / tokens, ignoreIndex: -100, chunkTokens: 1024 };
  linearCrossEntropyBackward(
    x,
    tensor('head', [vocabulary, hidden]),
    tensor('targets', [tokens], 'i32'),
    loss,
    'f32',
  );
  return graph;
}

async function timeKernels(
  graph: Graph,
  device: BenchDevice,
  { threads, repeats }: KernelFlags,
  dtype: string,
): Promise<KernelRow[]> {
  const plan = kernelPlan(graph, device.target);
  await using engine = await Engine.open({ device: device.word, threads });
  await engine.load(plan);
  for (const { name, dtype: type, bytes } of plan.values) {
    const data = smallNumbers(type, bytes);
    if (data !== undefined) await engine.write(name, data);
  }
  const times: Float64Array[] = [];
  for (let i = 0; i < repeats + 2; i++) {
    const { profileUs } = await engine.run('run', { profile: true });
    if (i >= 2) times.push(profileUs!);
  }
  return graph.nodes.map((node, index) => {
    const us = quantiles(times.map((profile) => profile[index]!));
    const { flops } = plan.entries['run']!.instructions[index]!;
    return {
      op: node.op,
      shape: describeOperands(node),
      dtype,
      ...us,
      repeats,
      gflopsPerSecond: flops / us.p50 / 1e3,
      gigabytesPerSecond: bytesMoved(node) / us.p50 / 1e3,
    };
  });
}

/** Values near 0.1 for floats: zeros would be kinder to some CPUs than real data. Integers stay zero. */
function smallNumbers(dtype: DType, bytes: number): Float32Array | Uint16Array | undefined {
  if (dtype === 'f32') return Float32Array.from({ length: bytes / 4 }, (_, i) => 0.1 + (i % 13) / 100);
  // 0x3dcc is 0.0996 in bfloat16; the next numbers are 0.0005 apart.
  if (dtype === 'bf16') return Uint16Array.from({ length: bytes / 2 }, (_, i) => 0x3dcc + (i % 13));
  return undefined;
}

/** Each operand once: what must at least travel between memory and core. */
const bytesMoved = ({ inputs, outputs }: Node): number =>
  [...inputs, ...outputs].reduce((sum, value) => sum + (value === undefined ? 0 : valueBytes(value)), 0);

function describeOperands(node: Node): string {
  const matrices = node.inputs.filter(
    (value): value is Value => value !== undefined && numElements(value.shape) > 1,
  );
  const flags = [node.attributes['transposeA'] ? 'A^T' : '', node.attributes['transposeB'] ? 'B^T' : ''];
  const shapes = matrices.slice(0, 2).map((value) => value.shape.join('x'));
  return [...shapes, ...flags.filter((flag) => flag !== '')].join(', ');
}

const ledgerRow = ({ op, shape, dtype, p20, p50, p80, repeats }: KernelRow): LedgerRow => ({
  case: op, provider: 'compact-train', metric: 'time', unit: 'us', shape, dtype, p20, p50, p80, repeats,
}); // prettier-ignore

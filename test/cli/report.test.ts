import { describe, expect, test } from '@jest/globals';
import { reportFigure } from '../../lib/cli/bench/memory/charts/figure.js';
import { axisNote, lossPlot, type LossRun } from '../../lib/cli/bench/memory/charts/loss-curves.js';
import { arenaMap, memoryTimeline } from '../../lib/cli/bench/memory/charts/memory-timeline.js';
import { groupBytes, kindGroups } from '../../lib/cli/bench/charts/palette.js';
import { peakBars } from '../../lib/cli/bench/memory/charts/peak-bars.js';
import { ticks } from '../../lib/cli/bench/charts/svg.js';
import { gpuLimits } from '../../lib/cli/bench/steps/gpu-limits.js';
import { opProfile } from '../../lib/cli/bench/steps/op-profile.js';
import { publishedSavingBytes } from '../../lib/cli/bench/memory/published-figures.js';
import { quantiles } from '../../lib/cli/bench/quantiles.js';
import type { NamedTimeline } from '../../lib/cli/bench/memory/report.js';
import { valueKinds } from '../../lib/graph/index.js';
import { fixtureReport } from './fixture-report.js';

const report = fixtureReport();

/** Element names in order of opening; throws where tags do not nest. */
function tags(xml: string): string[] {
  const open: string[] = [];
  const seen: string[] = [];
  for (const [, close, name, selfClosed] of xml.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/gi)) {
    if (close) expect(open.pop()).toBe(name);
    else {
      seen.push(name!);
      if (!selfClosed) open.push(name!);
    }
  }
  expect(open).toEqual([]);
  return seen;
}

describe('colours of kinds', () => {
  test('cover every kind of the ledger once', () => {
    expect(kindGroups.flatMap((group) => group.kinds).sort()).toEqual([...valueKinds, 'unused'].sort());
    expect(new Set(kindGroups.map((group) => group.colour)).size).toBe(kindGroups.length);
  });

  test('lose no bytes', () => {
    const { byKind, peakBytes } = report.planned[0]!.models[1]!.peaks[0]!;
    expect(kindGroups.reduce((sum, group) => sum + groupBytes(group, byKind), 0)).toBe(peakBytes);
  });
});

describe('the figure', () => {
  const svg = reportFigure(report);

  test('is well-formed and stands alone', () => {
    expect(tags(svg)).toEqual(expect.arrayContaining(['svg', 'title', 'style', 'path']));
    const dots = svg.match(/<path [^>]*stroke-linecap="round"/g);
    expect(dots).toHaveLength(report.demo.runs.flatMap(({ evaluations }) => evaluations).length);
    expect(svg).not.toMatch(/(href|src)="http/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('shows the numbers of the report', () => {
    for (const run of report.demo.runs) expect(svg).toContain(`${run.variant}  ${run.finalLoss.toFixed(3)}`);
    expect(svg).toContain('28.5 GiB');
  });

  test('has the largest bar first and marks the smallest beside every baseline', () => {
    const peaks = report.planned[0]!.models[1]!.peaks;
    const names = [...svg.matchAll(/text-anchor="end">(dense[^<]*|compact[^<]*)</g)].map(([, name]) => name);
    expect(names).toEqual(peaks.toSorted((a, b) => b.peakBytes - a.peakBytes).map(({ variant }) => variant));
    const shares = peaks.slice(0, 3).map(({ peakBytes }) => (100 * peaks.at(-1)!.peakBytes) / peakBytes);
    const [plain, selective, checkpointed] = shares.map((share) => share.toFixed(1));
    expect(svg.match(/smallest: [^<]*/g)).toEqual([
      `smallest: ${plain} % of plain, ${selective} % of selective, ${checkpointed} % of checkpointed`,
    ]);
  });
});

describe('bars', () => {
  test('are as long as their bytes', () => {
    const peaks = [
      { variant: 'a', peakBytes: 200, byKind: { parameter: 50, activation: 150 }, shareOfPlain: 1 },
      {
        variant: 'b',
        peakBytes: 100,
        byKind: { parameter: 50, compressedActivation: 50 },
        shareOfPlain: 0.5,
      },
    ];
    const widths = [...peakBars(peaks, 800).svg.matchAll(/<rect x="[\d.]+" y="4" width="([\d.]+)"/g)].map(
      (m) => Number(m[1]),
    );
    const [a, b] = [widths[0]! + widths[1]!, widths[2]! + widths[3]!];
    expect(widths).toHaveLength(4);
    expect(b / a).toBeCloseTo(0.5, 2);
    expect(widths[1]! / widths[0]!).toBeCloseTo(3, 1);
  });
});

describe('the timeline', () => {
  const timeline: NamedTimeline = {
    title: 'a model',
    variant: 'dense',
    peakBytes: 130,
    persistent: { parameter: 30 },
    arenaBytes: 100,
    instructions: (['forward', 'backward'] as const).map((phase) => ({ op: 'matmul', layer: 'x', phase })),
    blocks: [
      { name: 'x/a', layer: 'x', kind: 'activation', offset: 0, bytes: 60, first: 0, last: 1, madeBy: 0, lastReadBy: 1 },
      { name: 'x/b', layer: 'x', kind: 'gradient', offset: 60, bytes: 40, first: 1, last: 1, madeBy: 1, lastReadBy: 1 },
    ],
  }; // prettier-ignore
  // 100 pixels an instruction, one pixel a byte, from 130 (above) to 0; below that the strip of phases.
  const frame = { id: 'x', width: 200, height: 139, highestBytes: 130 };

  test('stacks persistent bytes below those of the arena', () => {
    const { shapes, line } = memoryTimeline(timeline, frame);
    const paths = [...shapes.matchAll(/d="([^"]*)" fill="var\(--([a-z]+)\)"/g)].map(([, d, fill]) => [
      fill,
      d,
    ]);
    expect(paths).toEqual([
      ['weights', 'M0 100L100 100L100 100L200 100L200 130L100 130L100 130L0 130'],
      ['gradients', 'M0 100L100 100L100 60L200 60L200 100L100 100L100 100L0 100'],
      ['activations', 'M0 40L100 40L100 0L200 0L200 60L100 60L100 100L0 100'],
    ]);
    expect(line).toEqual({ at: 1, label: 'peak 130 B' });
  });

  test('draws each block where and when it lives', () => {
    const { shapes, line } = arenaMap(timeline, frame);
    expect(shapes).toContain('<rect x="0" y="70" width="200" height="60" fill="var(--activations)"/>');
    expect(shapes).toContain(
      '<rect x="100" y="30" width="100" height="40" fill="var(--gradients)" fill-opacity="0.82"/>',
    );
    expect(line).toEqual({ at: 1 - 30 / 139, label: 'arena 100 B' });
  });
});

describe('loss curves', () => {
  const run = (variant: string, losses: readonly number[]): LossRun => {
    const points = losses.map((loss, index) => ({ step: index + 1, numTokens: 10 * (index + 1), loss }));
    return {
      variant,
      learningRate: 0.1,
      otherLearningRate: 0.2,
      losses: points,
      evaluations: points.slice(-1),
    };
  };
  // 48 steps: the fifth is the first whose loss has to be inside.
  const falling = Array.from({ length: 48 }, (_, i) => 1.3 + 4 / (i + 1));
  const plot = lossPlot(
    [
      run('dense', falling),
      run(
        'compact',
        falling.map((loss) => loss + 0.1),
      ),
    ],
    100,
    100,
  );

  test('have axes that end where they say', () => {
    expect([plot.yLabels[0], plot.yLabels.at(-1)]).toEqual([
      { at: 0, label: String(plot.low) },
      { at: 1, label: String(plot.high) },
    ]);
    expect(plot.low).toBeLessThanOrEqual(1.3 + 4 / 48);
    expect(plot.high).toBeGreaterThanOrEqual(1.3 + 4 / 5);
    expect([plot.xLabels[0], plot.xLabels.at(-1)]).toEqual([
      { at: 0, label: '0' },
      { at: 1, label: '480' },
    ]);
    expect(plot.heightOf(plot.low)).toBe(0);
    expect(plot.heightOf(plot.high)).toBe(1);
  });

  test('say what lies outside', () => {
    expect(plot.stepsAbove).toBeGreaterThan(0);
    expect(axisNote(plot)).toBe(
      `The vertical axis runs from ${plot.low} to ${plot.high}, not from 0; ` +
        `the first ${plot.stepsAbove} steps, from 5.40 down, lie above it.`,
    );
    // The mean of the second step, 3.33, has to be inside, in steps of 0.2.
    const one = lossPlot([run('dense', [5, ...Array<number>(11).fill(2.5)])], 100, 100);
    expect(axisNote(one)).toBe(
      'The vertical axis runs from 2.4 to 3.4, not from 0; the first step, at 5.00, lies above it.',
    );
    const flat = lossPlot([run('dense', [2, 2, 2])], 100, 100);
    expect(axisNote(flat)).toBe('The vertical axis runs from 2 to 3, not from 0.');
    expect(flat.shapes).not.toContain('NaN');
  });
});

describe('figures', () => {
  test('ticks are round and inside', () => {
    expect(ticks(0, 28.5, 6)).toEqual([0, 5, 10, 15, 20, 25]);
    expect(ticks(1.72, 5.5, 6)).toEqual([2, 3, 4, 5]);
    expect(ticks(3, 3, 4)).toEqual([3]);
  });

  test('quantiles interpolate', () => {
    expect(quantiles([5, 1, 3, 2, 4])).toEqual({ p20: 1.8, p50: 3, p80: 4.2 });
    expect(quantiles([7])).toEqual({ p20: 7, p50: 7, p80: 7 });
  });

  test('published savings are differences of published peaks', () => {
    expect(publishedSavingBytes('llama-60m', 1 / 4)! / 2 ** 30).toBeCloseTo(0.79, 6);
    expect(publishedSavingBytes('llama-350m', 1 / 8)! / 2 ** 30).toBeCloseTo(6.94, 6);
    expect(publishedSavingBytes('llama-1b', 1 / 2)).toBeUndefined();
  });

  test('time of operations adds up by operation and phase, beside what the limits allow', () => {
    const value = (dtype: string, bytes: number) => ({ dtype, bytes });
    const values = [value('f32', 1000), value('bf16', 600), value('i32', 40)];
    const instructions = [
      { op: 'matmul', phase: 'forward', layer: 'a', flops: 8000, inputs: [0, -1], outputs: [0] },
      { op: 'adamW', phase: 'update', layer: 'a', flops: 10, inputs: [0, 1], outputs: [0] },
      { op: 'matmul', phase: 'forward', layer: 'b', flops: 8000, inputs: [1], outputs: [1] },
      { op: 'embedding', phase: 'forward', layer: 'c', flops: 0, inputs: [0, 2], outputs: [1] },
    ];
    const plan = { values, entries: { step: { instructions } } } as never;
    const times = { profileUs: [4, 2, 2, 1], msPerStep: [0.009, 0.011] };
    const limits = {
      source: 'a test',
      flopsPerSecond: { f32: 4e9, bf16: 8e9 }, // 2 and 1 us for the products
      bytesPerSecond: 2.6e9, // 1 us for adamW; embedding reads no more of the table than it writes
    };
    const { operations, instructions: single, total, stepMs, explained } = opProfile(plan, times, limits);
    expect(operations.map(({ op, calls, flops, bytes }) => [op, calls, flops, bytes])).toEqual([
      ['matmul', 2, 16000, 3200],
      ['adamW', 1, 10, 2600],
      ['embedding', 1, 0, 1240],
    ]);
    expect(operations.map(({ ofLimit }) => ofLimit)).toEqual([
      expect.closeTo(3 / 6, 9),
      expect.closeTo(1 / 2, 9),
      expect.closeTo(1240 / 2600, 9),
    ]);
    expect(operations.map(({ share }) => share)).toEqual(
      [6 / 9, 2 / 9, 1 / 9].map((x) => expect.closeTo(x, 9)),
    );
    expect(single.map(({ layer }) => layer)).toEqual(['a', 'a', 'b', 'c']);
    expect([total.ms, stepMs, explained]).toEqual([0.009, 0.01, 0.9].map((x) => expect.closeTo(x, 9)));
    expect(opProfile(plan, times, undefined).total.ofLimit).toBeUndefined();
  });

  test('GPUs are told by their names', () => {
    const rate = (name: string) => gpuLimits(name)?.bytesPerSecond;
    expect(rate('NVIDIA A100-SXM4-80GB')).toBe(2039e9);
    expect(rate('NVIDIA A100-PCIE-40GB')).toBe(1555e9);
    expect(rate('NVIDIA A10')).toBe(600e9);
    expect(rate('NVIDIA H100 PCIe')).toBe(2039e9);
    expect(rate('NVIDIA H200')).toBe(4300e9);
    expect(rate('emulated on the CPU')).toBeUndefined();
  });
});

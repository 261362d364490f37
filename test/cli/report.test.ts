import { describe, expect, test } from '@jest/globals';
import { arenaMap, memoryTimeline } from '../../lib/cli/bench/charts/memory-timeline.js';
import { reportFigure } from '../../lib/cli/bench/charts/figure.js';
import { groupBytes, kindGroups } from '../../lib/cli/bench/charts/palette.js';
import { peakBars } from '../../lib/cli/bench/charts/peak-bars.js';
import { ticks } from '../../lib/cli/bench/charts/svg.js';
import { gpuLimits } from '../../lib/cli/bench/gpu-limits.js';
import { opProfile } from '../../lib/cli/bench/op-profile.js';
import { reportPage } from '../../lib/cli/bench/page.js';
import { publishedSavingBytes } from '../../lib/cli/bench/published-figures.js';
import { quantiles } from '../../lib/cli/bench/quantiles.js';
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
    expect(tags(svg)).toEqual(expect.arrayContaining(['svg', 'style', 'path', 'circle']));
    expect(svg).not.toMatch(/(href|src)="http/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('shows the numbers of the report', () => {
    for (const run of report.demo.runs) expect(svg).toContain(`${run.variant}  ${run.finalLoss.toFixed(3)}`);
    expect(svg).toContain('28.5 GiB');
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
  const timeline = {
    peakBytes: 130,
    persistent: { parameter: 30 },
    arenaBytes: 100,
    instructions: (['forward', 'backward'] as const).map((phase) => ({ op: 'matmul', layer: 'x', phase })),
    blocks: [
      { name: 'x/a', layer: 'x', kind: 'activation', offset: 0, bytes: 60, first: 0, last: 1 },
      { name: 'x/b', layer: 'x', kind: 'gradient', offset: 60, bytes: 40, first: 1, last: 1 },
    ],
  } as const;
  // Plot area: x from 68 to 268 for two instructions, y from 10 (130 bytes) to 140 (0 bytes): one pixel a byte.
  const size = [280, 174, 130] as const;

  test('stacks persistent bytes below those of the arena', () => {
    const svg = memoryTimeline(timeline, ...size);
    const paths = [...svg.matchAll(/d="([^"]*)" fill="(#[0-9a-f]+)"/g)].map(([, d, fill]) => [fill, d]);
    expect(paths).toEqual([
      ['#0072b2', 'M68 110L168 110L168 110L268 110L268 140L168 140L168 140L68 140'],
      ['#e69f00', 'M68 110L168 110L168 70L268 70L268 110L168 110L168 110L68 110'],
      ['#d55e00', 'M68 50L168 50L168 10L268 10L268 70L168 70L168 110L68 110'],
    ]);
  });

  test('draws each block where and when it lives', () => {
    const svg = arenaMap(timeline, ...size);
    expect(svg).toContain(
      '<rect x="68" y="80" width="200" height="60" fill="#d55e00" fill-opacity="1" class="block" data-block="0"/>',
    );
    expect(svg).toContain(
      '<rect x="168" y="40" width="100" height="40" fill="#e69f00" fill-opacity="0.82" class="block" data-block="1"/>',
    );
  });
});

describe('the page', () => {
  const page = reportPage(report);

  test('is one file without requests', () => {
    expect(page).not.toMatch(/<(link|img|iframe)|src=|@import|url\(/);
    expect(page.match(/https?:\/\/(?!www\.w3\.org)/)).toBeNull();
    expect(page.slice(0, page.indexOf('<script>'))).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('escapes text that is not its own', () => {
    expect(page).toContain('&lt;the&gt; state of the Union');
    expect(page).not.toContain('<the>');
    expect(page).toContain('Example CPU &lt;8&gt; &amp; more');
  });

  test('carries data that its script can read, for each timeline', () => {
    const data = [...page.matchAll(/<script type="application\/json" id="([^"]+)">(.*?)<\/script>/g)];
    expect(data).toHaveLength(report.timelines.length);
    for (const [index, [, id, json]] of data.entries()) {
      const parsed = JSON.parse(json!) as { blocks: unknown[][]; instructions: unknown[] };
      expect(parsed.blocks).toHaveLength(report.timelines[index]!.blocks.length);
      expect(page).toContain(`data-timeline="${id}"`);
      expect(page).toContain(`data-map="${id}"`);
    }
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

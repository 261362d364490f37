import { element, linearScale, path, text } from '../../lib/cli/bench/charts/svg.js';
import { seriesColours } from '../../lib/cli/bench/charts/palette.js';
import type { DeviceLimits } from '../../lib/cli/bench/steps/device-limits.js';

export interface Roof {
  readonly name: string;
  readonly limits: DeviceLimits;
}

/** A kernel on the first of the GPUs. */
export interface RooflineKernel {
  readonly name: string;
  readonly flops: number;
  readonly bytes: number;
  readonly us: number;
  readonly isMeasured: boolean;
}

interface Point {
  readonly intensity: number; // FLOP per byte
  readonly rate: number; // FLOP per second
  readonly isMeasured: boolean;
  readonly numbers: number[];
}

const intensities = [20, 30_000] as const;
const rates = [2e13, 1.5e15] as const;
const margin = { left: 80, right: 120, top: 10, bottom: 44 };
const plotHeight = 380;
const rowHeight = 18;
const numColumns = 2;

/**
 * FLOP per second over FLOP per byte, both on logarithmic scales: roofs of GPUs, and on the first the kernels, by
 * numbers that a list below explains. Filled where they were measured, hollow where they are predicted.
 */
export function roofline(
  roofs: readonly Roof[],
  kernels: readonly RooflineKernel[],
  width: number,
): { svg: string; height: number } {
  const logs = (range: readonly [number, number]) => range.map(Math.log10) as [number, number];
  const across = linearScale(logs(intensities), [margin.left, width - margin.right]);
  const up = linearScale(logs(rates), [plotHeight - margin.bottom, margin.top]);
  const x = (intensity: number): number => across(Math.log10(intensity));
  const y = (rate: number): number => up(Math.log10(rate));
  const line = (x1: number, y1: number, x2: number, y2: number): string =>
    element('line', { x1: x(x1), y1: y(y1), x2: x(x2), y2: y(y2), class: 'rule' });
  const axes = [
    ...[100, 1000, 10_000].flatMap((value) => [
      line(value, rates[0], value, rates[1]),
      text(x(value), plotHeight - 24, value.toLocaleString('en'), {
        'text-anchor': 'middle',
        class: 'soft tabular',
      }),
    ]),
    ...[3e13, 1e14, 3e14, 1e15].flatMap((value) => [
      line(intensities[0], value, intensities[1], value),
      text(margin.left - 8, y(value) + 4, `${value / 1e12} T`, {
        'text-anchor': 'end',
        class: 'soft tabular',
      }),
    ]),
    text((margin.left + width - margin.right) / 2, plotHeight - 6, 'FLOP per byte', {
      'text-anchor': 'middle',
      class: 'soft',
    }),
    text(margin.left - 8, margin.top + 6, 'FLOP/s', { 'text-anchor': 'end', class: 'soft' }),
  ];
  const lines = roofs.flatMap(({ name, limits }, index) => {
    const { bf16 } = limits.flopsPerSecond;
    const stroke = seriesColours[index]!;
    const points = [intensities[0], bf16 / limits.bytesPerSecond, intensities[1]].map(
      (value) => [x(value), y(Math.min(bf16, value * limits.bytesPerSecond))] as const,
    );
    return [
      path(points, { fill: 'none', stroke, 'stroke-width': 2 }),
      text(width - margin.right + 8, y(bf16) + 4, name, { class: 'strong', style: `fill: ${stroke}` }),
    ];
  });
  const marks = pointsOf(kernels).flatMap(({ intensity, rate, isMeasured, numbers }) => [
    element('circle', {
      cx: x(intensity),
      cy: y(rate),
      r: 6,
      fill: isMeasured ? seriesColours[0] : 'var(--ground)',
      stroke: seriesColours[0],
      'stroke-width': 2,
    }),
    text(x(intensity) + 10, y(rate) + 4, numbers.join(', '), { class: 'strong tabular' }),
  ]);
  const perColumn = Math.ceil(kernels.length / numColumns);
  const list = kernels.map(({ name, flops, us, isMeasured }, index) => {
    const column = Math.floor(index / perColumn);
    const left = (column * width) / numColumns;
    const top = plotHeight + 22 + (index % perColumn) * rowHeight;
    const words = `${name}: ${(flops / us / 1e6).toFixed(0)} T ${isMeasured ? 'measured' : 'predicted'}`;
    return [
      text(left + 16, top, String(index + 1), { 'text-anchor': 'end', class: 'strong tabular' }),
      text(left + 24, top, words, { class: 'soft' }),
    ];
  });
  return {
    svg: [...axes, ...lines, ...marks, ...list.flat()].join(''),
    height: plotHeight + 22 + perColumn * rowHeight,
  };
}

/** Kernels whose circles would lie on each other share one. */
function pointsOf(kernels: readonly RooflineKernel[]): readonly Point[] {
  const isClose = (a: number, b: number): boolean => Math.abs(Math.log10(a / b)) < 0.06;
  const points: Point[] = [];
  kernels.forEach(({ flops, bytes, us, isMeasured }, index) => {
    const intensity = flops / bytes;
    const rate = (1e6 * flops) / us;
    const near = points.find(
      (point) =>
        point.isMeasured === isMeasured && isClose(point.intensity, intensity) && isClose(point.rate, rate),
    );
    if (near === undefined) points.push({ intensity, rate, isMeasured, numbers: [index + 1] });
    else near.numbers.push(index + 1);
  });
  return points;
}

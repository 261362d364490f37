import { element, linearScale, path, text } from '../charts/svg.js';
import { seriesColours } from '../charts/palette.js';
import type { DeviceLimits } from '../device-limits.js';
import { kernelPredictions } from './predictions.js';

export interface Roof {
  readonly name: string;
  readonly limits: DeviceLimits;
}

const intensities = [0.25, 10_000] as const;
const rates = [0.1e12, 2e15] as const;
const margin = { left: 80, right: 120, top: 10, bottom: 44 };

/** FLOP per second over FLOP per byte, both on logarithmic scales: roofs of GPUs, and on the first the kernels. */
export function roofline(roofs: readonly Roof[], width: number, height: number): string {
  const log = (scale: (value: number) => number) => (value: number) => scale(Math.log10(value));
  const logs = (range: readonly [number, number]) => range.map(Math.log10) as [number, number];
  const x = log(linearScale(logs(intensities), [margin.left, width - margin.right]));
  const y = log(linearScale(logs(rates), [height - margin.bottom, margin.top]));
  const grid = [
    ...[1, 10, 100, 1000, 10_000].flatMap((value) => [
      element('line', { x1: x(value), x2: x(value), y1: y(rates[0]), y2: y(rates[1]), class: 'rule' }),
      text(x(value), height - 24, String(value), { 'text-anchor': 'middle', class: 'soft tabular' }),
    ]),
    ...[1e12, 1e13, 1e14, 1e15].flatMap((value) => [
      element('line', {
        x1: x(intensities[0]),
        x2: x(intensities[1]),
        y1: y(value),
        y2: y(value),
        class: 'rule',
      }),
      text(margin.left - 8, y(value) + 4, `${value / 1e12} T`, {
        'text-anchor': 'end',
        class: 'soft tabular',
      }),
    ]),
    text((margin.left + width - margin.right) / 2, height - 6, 'FLOP per byte', {
      'text-anchor': 'middle',
      class: 'soft',
    }),
    text(margin.left - 8, margin.top + 8, 'FLOP/s', { 'text-anchor': 'end', class: 'soft' }),
  ];
  const lines = roofs.flatMap(({ name, limits }, index) => {
    const { bf16 } = limits.flopsPerSecond;
    const knee = bf16 / limits.bytesPerSecond;
    const stroke = seriesColours[index]!;
    const points = [intensities[0], knee, intensities[1]].map(
      (value) => [x(value), y(Math.min(bf16, value * limits.bytesPerSecond))] as const,
    );
    return [
      path(points, { fill: 'none', stroke, 'stroke-width': 2 }),
      text(width - margin.right + 8, y(bf16) + 4, name, { class: 'strong', style: `fill: ${stroke}` }),
    ];
  });
  const { limits } = roofs[0]!;
  const points = kernelPredictions
    .filter(({ flops }) => flops > 0)
    .map(({ kernel, shape, flops, bytes, share }) => {
      const intensity = flops / bytes;
      const rate = share * Math.min(limits.flopsPerSecond.bf16, intensity * limits.bytesPerSecond);
      const title = `${kernel}, ${shape}: ${intensity.toFixed(0)} FLOP per byte, predicted ${(rate / 1e12).toFixed(0)} TFLOP/s`;
      return element(
        'circle',
        {
          cx: x(intensity),
          cy: y(rate),
          r: 5,
          fill: 'var(--ground)',
          stroke: seriesColours[0],
          'stroke-width': 2,
        },
        element('title', {}, title),
      );
    });
  return [...grid, ...lines, ...points].join('');
}

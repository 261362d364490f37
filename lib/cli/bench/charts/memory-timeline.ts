import type { Timeline } from '../report.js';
import { groupBytes, groupOf, kindGroups } from './palette.js';
import { byteTicks, element, linearScale, path, text, type Scale } from './svg.js';

export const timelineMargin = { left: 68, right: 12, top: 10, bottom: 34 } as const;

const shades = [1, 0.82, 0.68] as const;
const phaseOpacity = { forward: 0.15, backward: 0.45, update: 0.85 } as const;

/**
 * Bytes in use during one training step, instruction by instruction, stacked by what they are for. `highestBytes` sets
 * the vertical scale, so that charts of several methods can be compared by eye.
 */
export function memoryTimeline(
  timeline: Timeline,
  width: number,
  height: number,
  highestBytes: number,
): string {
  const { x, y } = timelineScales(timeline, width, height, highestBytes);
  const steps = timeline.instructions.length;
  const live = liveBytes(timeline);
  const floor = new Float64Array(steps);
  const areas = kindGroups.flatMap((group, index) => {
    const base = groupBytes(group, timeline.persistent);
    const bytes = live[index]!.map((arena) => arena + base);
    if (bytes.every((b) => b === 0)) return [];
    const bottom = stepLine(floor, x, y);
    bytes.forEach((b, i) => (floor[i]! += b));
    const top = stepLine(floor, x, y);
    return [path([...top, ...bottom.toReversed()], { fill: group.colour })];
  });
  const peakY = y(timeline.peakBytes);
  return [
    ...byteGrid(highestBytes, x(0), x(steps), y),
    ...areas,
    element('line', { x1: x(0), x2: x(steps), y1: peakY, y2: peakY, class: 'mark' }),
    ...phaseStrip(timeline, x, height - timelineMargin.bottom),
  ].join('');
}

/** Where each tensor lies in the arena and for how long: width is time, height is bytes, every block is one tensor. */
export function arenaMap(timeline: Timeline, width: number, height: number, highestBytes: number): string {
  const { x, y } = timelineScales(timeline, width, height, highestBytes);
  const blocks = timeline.blocks.map((block, index) =>
    element('rect', {
      x: x(block.first),
      y: y(block.offset + block.bytes),
      width: x(block.last + 1) - x(block.first),
      height: y(block.offset) - y(block.offset + block.bytes),
      fill: groupOf(block.kind).colour,
      // Neighbours are told apart by shade: outlines would hide blocks of half a pixel.
      'fill-opacity': shades[index % shades.length],
      class: 'block',
      'data-block': index,
    }),
  );
  const top = y(timeline.arenaBytes);
  return [
    ...byteGrid(highestBytes, x(0), x(timeline.instructions.length), y),
    ...blocks,
    element('line', { x1: x(0), x2: x(timeline.instructions.length), y1: top, y2: top, class: 'mark' }),
    ...phaseStrip(timeline, x, height - timelineMargin.bottom),
  ].join('');
}

function timelineScales(timeline: Timeline, width: number, height: number, highestBytes: number) {
  const { left, right, top, bottom } = timelineMargin;
  return {
    x: linearScale([0, timeline.instructions.length], [left, width - right]),
    y: linearScale([0, highestBytes], [height - bottom, top]),
  };
}

/** Live arena bytes of each kind group at each instruction. */
function liveBytes(timeline: Timeline): Float64Array[] {
  const live = kindGroups.map(() => new Float64Array(timeline.instructions.length + 1));
  for (const block of timeline.blocks) {
    const series = live[kindGroups.indexOf(groupOf(block.kind))]!;
    series[block.first]! += block.bytes;
    series[block.last + 1]! -= block.bytes;
  }
  for (const series of live) for (let i = 1; i < series.length; i++) series[i]! += series[i - 1]!;
  return live.map((series) => series.slice(0, -1));
}

/** Corner points of a staircase; runs of equal height become one step. */
function stepLine(heights: Float64Array, x: Scale, y: Scale): [number, number][] {
  const points: [number, number][] = [];
  for (let i = 0; i < heights.length; i++) {
    if (i > 0 && i < heights.length - 1 && heights[i] === heights[i - 1] && heights[i] === heights[i + 1])
      continue;
    points.push([x(i), y(heights[i]!)], [x(i + 1), y(heights[i]!)]);
  }
  return points;
}

function byteGrid(highest: number, from: number, to: number, y: Scale): string[] {
  return byteTicks(highest, 5).flatMap(({ value, label }) => [
    element('line', { x1: from, x2: to, y1: y(value), y2: y(value), class: 'rule' }),
    text(from - 8, y(value) + 4, label, { 'text-anchor': 'end', class: 'soft tabular' }),
  ]);
}

/** Which instructions are forward, backward and update, as a strip under the axis. */
function phaseStrip({ instructions }: Timeline, x: Scale, y: number): string[] {
  const strip: string[] = [];
  const labelled = new Set<string>();
  for (let first = 0; first < instructions.length;) {
    const phase = instructions[first]!.phase;
    let end = first + 1;
    while (end < instructions.length && instructions[end]!.phase === phase) end++;
    const width = x(end) - x(first);
    strip.push(
      element('rect', {
        x: x(first),
        y: y + 4,
        width,
        height: 5,
        fill: 'currentColor',
        'fill-opacity': phaseOpacity[phase],
      }),
    );
    if (!labelled.has(phase) && phase !== 'update') {
      strip.push(
        text(x(first), y + 24, phase === 'forward' ? 'forward' : 'backward and update', { class: 'soft' }),
      );
      labelled.add(phase);
    }
    first = end;
  }
  return strip;
}

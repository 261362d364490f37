import { formatBytes } from '../../../format.js';
import type { NamedTimeline, Timeline } from '../report.js';
import { groupBytes, groupOf, kindGroups } from '../../charts/palette.js';
import type { AxisLabel, Plot } from '../../charts/plot.js';
import { byteTicks, element, linearScale, path, type Scale } from '../../charts/svg.js';

/** The phases of a step, as a strip under the axis. */
const stripHeight = 9;
const shades = [1, 0.82, 0.68] as const;
const phaseOpacity = { forward: 0.25, backward: 0.55, update: 0.9 } as const;

/** Where and how large a timeline is drawn. */
export interface TimelineFrame {
  readonly id: string;
  readonly width: number;
  readonly height: number;
  /** The upper end of the vertical axis: equal in charts that are compared by eye. */
  readonly highestBytes: number;
}

/** Bytes in use during one training step, instruction by instruction, stacked by what they are for. */
export function memoryTimeline(timeline: NamedTimeline, frame: TimelineFrame): Plot {
  const { x, y } = timelineScales(timeline, frame);
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
  return {
    ...frame,
    ...axes(timeline, frame, timeline.peakBytes, 'peak'),
    title: `${timeline.title}, ${timeline.variant}: bytes in use`,
    description: `Bytes in use at each of ${steps} instructions of a training step, by kind. The peak is ${formatBytes(timeline.peakBytes)}.`,
    shapes: [
      ...byteGrid(frame, x(steps), y),
      ...areas,
      peakLine(y(timeline.peakBytes), x(steps)),
      ...phaseStrip(timeline, x, frame),
    ].join(''),
  };
}

/** Where each tensor lies in the arena and for how long: width is time, height is bytes, every block is one tensor. */
export function arenaMap(timeline: NamedTimeline, frame: TimelineFrame): Plot {
  const { x, y } = timelineScales(timeline, frame);
  const steps = timeline.instructions.length;
  const blocks = timeline.blocks.map((block, index) =>
    element('rect', {
      x: x(block.first),
      y: y(block.offset + block.bytes),
      width: x(block.last + 1) - x(block.first),
      height: y(block.offset) - y(block.offset + block.bytes),
      fill: groupOf(block.kind).colour,
      // Neighbours are told apart by shade: outlines would hide blocks of half a pixel.
      'fill-opacity': shades[index % shades.length] === 1 ? undefined : shades[index % shades.length],
    }),
  );
  return {
    ...frame,
    ...axes(timeline, frame, timeline.arenaBytes, 'arena'),
    title: `${timeline.title}, ${timeline.variant}: places in the arena`,
    description: `${timeline.blocks.length} tensors and workspaces in an arena of ${formatBytes(timeline.arenaBytes)}: each a rectangle, its place from below to above and its life from left to right.`,
    shapes: [
      ...byteGrid(frame, x(steps), y),
      ...blocks,
      peakLine(y(timeline.arenaBytes), x(steps)),
      ...phaseStrip(timeline, x, frame),
    ].join(''),
  };
}

function timelineScales(timeline: Timeline, { width, height, highestBytes }: TimelineFrame) {
  return {
    x: linearScale([0, timeline.instructions.length], [0, width]),
    y: linearScale([0, highestBytes], [height - stripHeight, 0]),
  };
}

/** Round bytes from below, the line that is drawn, and the phases. */
function axes(
  { instructions }: Timeline,
  { height, highestBytes }: TimelineFrame,
  lineBytes: number,
  name: string,
): Pick<Plot, 'xLabels' | 'yLabels' | 'line' | 'data'> {
  const plotShare = 1 - stripHeight / height;
  const at = (bytes: number): number => 1 - plotShare * (1 - bytes / highestBytes);
  const backward = instructions.findIndex(({ phase }) => phase !== 'forward');
  const xLabels: AxisLabel[] = [{ at: 0, label: 'forward' }];
  if (backward > 0) xLabels.push({ at: backward / instructions.length, label: 'backward and update' });
  return {
    yLabels: byteTicks(highestBytes, 4).map(({ value, label }) => ({ at: at(value), label })),
    xLabels,
    line: { at: at(lineBytes), label: `${name} ${formatBytes(lineBytes)}` },
    data: { 'data-highest': highestBytes, 'data-floor': 1 - plotShare },
  };
}

const peakLine = (y: number, width: number): string =>
  element('line', { x1: 0, x2: width, y1: y, y2: y, class: 'mark', 'vector-effect': 'non-scaling-stroke' });

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

function byteGrid({ highestBytes }: TimelineFrame, width: number, y: Scale): string[] {
  return byteTicks(highestBytes, 4).map(({ value }) =>
    element('line', {
      x1: 0,
      x2: width,
      y1: y(value),
      y2: y(value),
      class: 'rule',
      'vector-effect': 'non-scaling-stroke',
    }),
  );
}

/** Which instructions are forward, backward and update. */
function phaseStrip({ instructions }: Timeline, x: Scale, { height }: TimelineFrame): string[] {
  const strip: string[] = [];
  for (let first = 0, end = 0; first < instructions.length; first = end) {
    const { phase } = instructions[first]!;
    while (end < instructions.length && instructions[end]!.phase === phase) end++;
    strip.push(
      element('rect', {
        x: x(first),
        y: height - stripHeight + 3,
        width: x(end) - x(first),
        height: stripHeight - 3,
        fill: 'currentColor',
        'fill-opacity': phaseOpacity[phase],
      }),
    );
  }
  return strip;
}

import { formatBytes } from '../../../format.js';
import { arenaMap, memoryTimeline } from '../charts/memory-timeline.js';
import { groupBytes, groupOf, kindGroups } from '../../charts/palette.js';
import { plotHtml } from '../../charts/plot.js';
import { escapeText as escape } from '../../charts/svg.js';
import { legendHtml } from '../../page/legend.js';
import { inlineJson } from '../../page/json.js';
import type { NamedTimeline } from '../report.js';

const width = 600;

/** Timelines of one training step, those of equal title on one scale. */
export function timelineSection(timelines: readonly NamedTimeline[]): string {
  const titles = [...new Set(timelines.map(({ title }) => title))];
  return titles
    .map((title, section) => {
      const group = timelines.filter((timeline) => timeline.title === title);
      const shown = kindGroups.filter((kind) =>
        group.some(
          (t) => groupBytes(kind, t.persistent) > 0 || t.blocks.some((b) => groupOf(b.kind) === kind),
        ),
      );
      const highest = 1.06 * Math.max(...group.map(({ peakBytes }) => peakBytes));
      const highestArena = 1.06 * Math.max(...group.map(({ arenaBytes }) => arenaBytes));
      const figures = group.map((timeline, index) =>
        figure(timeline, `step-${section}-${index}`, highest, highestArena),
      );
      return `<h3>${escape(title)}</h3>${legendHtml(shown)}<div class="pair">${figures.join('\n')}</div>`;
    })
    .join('\n');
}

function figure(timeline: NamedTimeline, id: string, highest: number, highestArena: number): string {
  const stack = memoryTimeline(timeline, { id: `${id}-stack`, width, height: 200, highestBytes: highest });
  const map = arenaMap(timeline, { id: `${id}-map`, width, height: 300, highestBytes: highestArena });
  const data = `${id}-data`;
  return `<figure class="phases"><figcaption><b>${escape(timeline.variant)}</b> peak ${formatBytes(timeline.peakBytes)}</figcaption>
${plotHtml({ ...stack, data: { ...stack.data, 'data-timeline': data } })}
<details><summary>Where each tensor lies in the arena</summary>
${plotHtml({ ...map, data: { ...map.data, 'data-map': data } })}</details>
${inlineJson(data, timelineData(timeline))}</figure>`;
}

/** Short rows for the script: [name, kind, bytes, offset, first, last, madeBy, lastReadBy] a block. */
function timelineData(timeline: NamedTimeline) {
  return {
    kinds: kindGroups.map((group) => [group.label, group.colour]),
    persistent: kindGroups.map((group) => groupBytes(group, timeline.persistent)),
    instructions: timeline.instructions.map(({ op, layer, phase }) => [op, layer, phase]),
    blocks: timeline.blocks.map(({ name, kind, bytes, offset, first, last, madeBy, lastReadBy }) => [
      name, kindGroups.indexOf(groupOf(kind)), bytes, offset, first, last, madeBy ?? -1, lastReadBy ?? -1,
    ]), // prettier-ignore
  };
}

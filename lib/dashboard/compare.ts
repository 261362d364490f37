import { getJson } from './api.js';
import { StepChart } from './charts.js';
import type { Job, Line } from './types.js';
import { element } from './elements.js';
import { formatBytes } from './format.js';
import { statusMark } from './job-list.js';
import { readEvents } from './read-events.js';
import { StepMetrics } from './step-metrics.js';

/** Runs side by side: their losses over the same steps, and what each takes. */
export async function compareJobs(
  main: HTMLElement,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const jobs = await Promise.all(
    ids.map((id) => getJson<Job>(`v1/fine_tuning/jobs/${encodeURIComponent(id)}`, signal)),
  );
  const chart = new StepChart('Loss', signal);
  const heldOut = new StepChart('Held-out loss', signal);
  const all = jobs.map(() => new StepMetrics());
  const last = jobs.map(() => element('td', { class: 'number' }));
  const heads = [
    ...['Job', 'Model', 'Method', 'Status'].map((head) => element('th', { scope: 'col' }, head)),
    ...['Planned peak', 'Latest loss'].map((head) => element('th', { scope: 'col', class: 'number' }, head)),
  ];
  const rows = jobs.map((job, index) =>
    element(
      'tr',
      {},
      element(
        'th',
        { scope: 'row' },
        element('span', { class: `swatch line-${index % 6}` }),
        ' ',
        element('a', { href: `#job=${job.id}` }, job.id.slice(-12)),
      ),
      element('td', {}, job.model),
      element('td', {}, job.compact.method),
      element('td', {}, statusMark(job)),
      element('td', { class: 'number' }, formatBytes(job.compact.plan.planned_bytes)),
      last[index],
    ),
  );
  main.replaceChildren(
    element('h2', {}, 'Comparison'),
    element(
      'div',
      { class: 'scroll' },
      element('table', {}, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...rows)),
    ),
    chart.node,
    heldOut.node,
  );
  const draw = async (): Promise<void> => {
    const steps = [...new Set(all.flatMap((metrics) => metrics.steps))].sort((a, b) => a - b);
    const linesOf = (name: 'loss' | 'evalLoss'): Line[] =>
      all.map((metrics, index) => ({
        label: ids[index]!.slice(-6),
        values: metrics.values(name, steps),
        colour: index,
      }));
    await Promise.all([chart.show(steps, linesOf('loss')), heldOut.show(steps, linesOf('evalLoss'))]);
    for (const [index, cell] of last.entries())
      cell.textContent =
        all[index]!.values('loss')
          .findLast((value) => value !== null)
          ?.toFixed(4) ?? '';
  };
  await draw();
  await Promise.all(
    ids.map(async (id, index) => {
      for await (const event of readEvents(id, signal)) if (all[index]!.add(event)) await draw();
    }),
  );
}

import { getJson, postJson } from './api.js';
import type { Job, JobEvent } from './types.js';
import { StepChart } from './charts.js';
import { element, notice } from './elements.js';
import { formatCount, formatTime } from './format.js';
import { statusMark } from './job-list.js';
import { memoryBars } from './memory-bars.js';
import { readEvents } from './read-events.js';
import { StepMetrics } from './step-metrics.js';

const refreshMs = 2000;
const shownEvents = 200;
const verbs = {
  pause: ['queued', 'running'],
  resume: ['paused', 'failed'],
  cancel: ['queued', 'running', 'paused'],
} as const;

/** One job: what it does now, what it has learnt, what it takes, and what can be done with it. */
export async function showJob(main: HTMLElement, id: string, signal: AbortSignal): Promise<void> {
  const path = `v1/fine_tuning/jobs/${encodeURIComponent(id)}`;
  const facts = element('dl', { class: 'facts' });
  const actions = element('p', { class: 'actions' });
  const chart = new StepChart('Loss');
  const memory = element('div');
  const events = element('ol', { class: 'events', 'aria-label': 'Events, the latest first' });
  main.replaceChildren(
    element('h2', {}, `Job ${id.slice(-12)}`),
    facts,
    actions,
    chart.node,
    memory,
    element('h3', {}, 'Events'),
    events,
  );
  const show = (job: Job): void => {
    showFacts(facts, job);
    actions.replaceChildren(...buttons(job, async (verb) => show(await act(path, verb, job))));
  };
  const first = await getJson<Job>(path, signal);
  show(first);
  memory.append(memoryBars(first.compact.plan));
  const following = follow(id, chart, events, signal);
  following.catch(() => undefined); // told below
  let job = first;
  while (!signal.aborted && !['succeeded', 'failed', 'cancelled'].includes(job.status)) {
    await new Promise((resolve) => setTimeout(resolve, refreshMs));
    job = await getJson<Job>(path, signal);
    show(job);
  }
  await following;
}

async function act(path: string, verb: string, job: Job): Promise<Job> {
  try {
    const changed = await postJson<Job>(`${path}/${verb}`);
    notice(`${verb}: the job is ${changed.status}`);
    return changed;
  } catch (error) {
    notice((error as Error).message);
    return job;
  }
}

function buttons({ status }: Job, act: (verb: string) => Promise<void>): HTMLElement[] {
  return Object.entries(verbs).map(([verb, statuses]) =>
    element(
      'button',
      {
        type: 'button',
        disabled: !(statuses as readonly string[]).includes(status),
        click: () => {
          if (verb !== 'cancel' || confirm('Cancel this job? It cannot be resumed.')) void act(verb);
        },
      },
      verb[0]!.toUpperCase() + verb.slice(1),
    ),
  );
}

function showFacts(facts: HTMLElement, job: Job): void {
  const { compact, error } = job;
  const { plan } = compact;
  const pairs: readonly (readonly [string, string | HTMLElement])[] = [
    ['Status', statusMark(job)],
    ['Model', `${job.model}, ${formatCount(plan.num_parameters)} parameters, ${job.method.type}`],
    [
      'Steps',
      `${compact.step} of ${compact.max_steps}, ${formatCount(compact.trained_tokens)} tokens learnt`,
    ],
    ['Device', plan.device],
    ['Created', formatTime(job.created_at)],
    ...(job.finished_at === null ? [] : [['Finished', formatTime(job.finished_at)] as const]),
    ...(job.fine_tuned_model === null ? [] : [['Result', job.fine_tuned_model] as const]),
    ...(error?.message ? [['Error', element('strong', { class: 'error' }, error.message)] as const] : []),
  ];
  facts.replaceChildren(
    ...pairs.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
  );
}

async function follow(id: string, chart: StepChart, events: HTMLElement, signal: AbortSignal): Promise<void> {
  const metrics = new StepMetrics();
  let isDrawing = false;
  const draw = (): void => {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      void chart.show(metrics.steps, metrics.lines());
    });
  };
  draw();
  for await (const event of readEvents(id, signal)) {
    if (metrics.add(event)) draw();
    events.prepend(eventItem(event));
    while (events.childElementCount > shownEvents) events.lastElementChild!.remove();
  }
}

const eventItem = ({ created_at: time, level, message, data }: JobEvent): HTMLElement => {
  const sample = typeof data['sample'] === 'string' ? element('pre', {}, data['sample']) : undefined;
  return element('li', { class: level }, element('time', {}, formatTime(time)), ` ${message}`, sample);
};

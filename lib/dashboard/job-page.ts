import { postJson } from './api.js';
import type { Job, JobEvent } from './types.js';
import { StepChart } from './charts.js';
import { element, notice } from './elements.js';
import { formatCount, formatTime } from './format.js';
import { statusMark } from './job-list.js';
import { memoryBars } from './memory-bars.js';
import { poll } from './poll.js';
import { readEvents } from './read-events.js';
import { sampleBlock } from './sample-block.js';
import { StepMetrics } from './step-metrics.js';

const shownEvents = 200;
const shownSamples = 20;
const final = ['succeeded', 'failed', 'cancelled'];
/** What can be done with a job, and in which states. */
const verbs: Readonly<Record<string, readonly string[]>> = {
  pause: ['queued', 'running'],
  resume: ['paused', 'failed'],
  cancel: ['queued', 'running', 'paused'],
};

/** One job: what it does now, what it has learnt, what it takes, and what can be done with it. */
export async function showJob(main: HTMLElement, id: string, signal: AbortSignal): Promise<void> {
  const path = `v1/fine_tuning/jobs/${encodeURIComponent(id)}`;
  const facts = element('dl', { class: 'facts' });
  const chart = new StepChart('Loss', signal);
  const memory = element('div');
  const samples = element('section', { hidden: true }, element('h3', {}, 'Samples'));
  const events = element('ol', { class: 'events', tabindex: 0, 'aria-label': 'Events, the latest first' });
  let job: Job;
  const buttons = Object.keys(verbs).map((verb) => button(verb, () => void act(verb)));
  const show = (changed: Job): void => {
    job = changed;
    showFacts(facts, job);
    for (const one of buttons) one.setAttribute('aria-disabled', String(!isPossible(one.value, job)));
  };
  const act = async (verb: string): Promise<void> => {
    if (!isPossible(verb, job)) return;
    if (verb === 'cancel' && !confirm('Cancel this job? It cannot be resumed.')) return;
    try {
      const hadEnded = final.includes(job.status);
      show(await postJson<Job>(`${path}/${verb}`));
      if (hadEnded) dispatchEvent(new Event('hashchange')); // its stream has ended as well: all begins anew
      notice(`${verb}: the job is ${job.status}`);
    } catch (error) {
      notice((error as Error).message);
    }
  };
  main.replaceChildren(
    element('h2', {}, `Job ${id.slice(-12)}`),
    facts,
    element('p', { class: 'actions' }, ...buttons),
    chart.node,
    memory,
    samples,
    element('h3', {}, 'Events'),
    events,
  );
  let following: Promise<void> | undefined;
  for await (const found of poll<Job>(path, signal)) {
    show(found);
    if (following === undefined) {
      memory.append(memoryBars(found.compact.plan));
      following = follow(id, { chart, samples, events }, signal);
      following.catch(() => undefined); // told below
    }
    if (final.includes(found.status)) break;
  }
  await following;
}

const isPossible = (verb: string, { status }: Job): boolean => verbs[verb]!.includes(status);

/** One that cannot be used now keeps the focus all the same. */
const button = (verb: string, click: () => void): HTMLButtonElement =>
  element('button', { type: 'button', value: verb, click }, verb[0]!.toUpperCase() + verb.slice(1));

function showFacts(facts: HTMLElement, job: Job): void {
  const { compact, error } = job;
  const { plan } = compact;
  const pairs: readonly (readonly [string, string | HTMLElement])[] = [
    ['Status', statusMark(job)],
    ['Model', `${job.model}, ${formatCount(plan.num_parameters)} parameters`],
    ['Method', `${compact.method}, ${job.method.type}`],
    [
      'Steps',
      `${compact.step} of ${compact.max_steps}, ${formatCount(compact.trained_tokens)} tokens learnt`,
    ],
    ['Device', plan.device],
    ['Created', formatTime(job.created_at)],
    ...(job.finished_at === null ? [] : [['Finished', formatTime(job.finished_at)] as const]),
    ['Id', job.id],
    ...(job.fine_tuned_model === null ? [] : [['Result', job.fine_tuned_model] as const]),
    ...(error?.message ? [['Error', element('strong', { class: 'error' }, error.message)] as const] : []),
  ];
  facts.replaceChildren(
    ...pairs.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
  );
}

interface Shown {
  readonly chart: StepChart;
  readonly samples: HTMLElement;
  readonly events: HTMLElement;
}

async function follow(id: string, { chart, samples, events }: Shown, signal: AbortSignal): Promise<void> {
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
    const sample = sampleBlock(event);
    if (sample === undefined) {
      events.prepend(eventItem(event));
      while (events.childElementCount > shownEvents) events.lastElementChild!.remove();
    } else {
      samples.hidden = false;
      samples.firstElementChild!.after(sample);
      while (samples.childElementCount > shownSamples + 1) samples.lastElementChild!.remove();
    }
  }
}

const eventItem = ({ created_at: time, level, message }: JobEvent): HTMLElement =>
  element('li', { class: level }, element('time', {}, formatTime(time)), ` ${message}`);

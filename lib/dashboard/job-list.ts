import { deviceLine } from './device-line.js';
import { element } from './elements.js';
import { formatDuration, formatTime } from './format.js';
import { poll } from './poll.js';
import type { Job, Page, ServerStatus } from './types.js';

/** All jobs of the key, the latest first, as they are now. */
export async function showJobs(main: HTMLElement, signal: AbortSignal): Promise<void> {
  const chosen = new Set<string>();
  const rows = element('tbody');
  const devices = element('div', { class: 'devices' });
  const more = element('p');
  const compare = element(
    'button',
    { type: 'button', disabled: true, click: () => (location.hash = `#compare=${[...chosen].join(',')}`) },
    'Compare',
  );
  const choice = element('th', { scope: 'col' }, element('span', { class: 'heard' }, 'Chosen'));
  const heads = ['Job', 'Model', 'Method', 'Status', 'Steps', 'Created'].map((head) =>
    element('th', { scope: 'col', class: head.toLowerCase() }, head),
  );
  main.replaceChildren(
    element('h2', {}, 'Jobs'),
    devices,
    element(
      'div',
      { class: 'scroll' },
      element('table', { class: 'jobs' }, element('thead', {}, element('tr', {}, choice, ...heads)), rows),
    ),
    element('p', { class: 'actions' }, compare, element('a', { class: 'button', href: '#new' }, 'New job')),
    more,
  );
  const choose = (id: string, isChosen: boolean): void => {
    if (isChosen) chosen.add(id);
    else chosen.delete(id);
    compare.disabled = chosen.size < 2;
  };
  showDevices(devices, signal).catch(() => undefined); // what is wrong is told below
  for await (const { data, has_more } of poll<Page<Job>>('v1/fine_tuning/jobs?limit=50', signal)) {
    const focused = document.activeElement?.id;
    rows.replaceChildren(...data.map((job) => row(job, chosen.has(job.id), choose)));
    if (focused) document.getElementById(focused)?.focus();
    if (data.length === 0) rows.append(nothing());
    more.textContent = has_more ? 'Older ones: GET /v1/fine_tuning/jobs' : '';
  }
}

async function showDevices(devices: HTMLElement, signal: AbortSignal): Promise<void> {
  for await (const status of poll<ServerStatus>('v1/compact/status', signal))
    devices.replaceChildren(...deviceLine(status));
}

const nothing = (): HTMLElement =>
  element('tr', {}, element('td', { class: 'nothing', colspan: 7 }, 'No jobs yet.'));

function row(job: Job, isChosen: boolean, choose: (id: string, isChosen: boolean) => void): HTMLElement {
  const { step, max_steps: maxSteps } = job.compact;
  const box = element('input', {
    type: 'checkbox',
    id: `choose-${job.id}`,
    'aria-label': `compare ${job.id}`,
    change: ({ target }) => choose(job.id, (target as HTMLInputElement).checked),
  });
  box.checked = isChosen;
  return element(
    'tr',
    {},
    element('td', {}, box),
    element(
      'td',
      { class: 'id' },
      element('a', { href: `#job=${job.id}`, id: `open-${job.id}` }, job.id.slice(-12)),
    ),
    element('td', { class: 'model' }, job.model),
    element('td', {}, job.compact.method),
    element('td', {}, statusMark(job)),
    element(
      'td',
      { class: 'steps' },
      element('progress', { max: maxSteps, value: step, 'aria-label': 'steps done' }),
      ` ${step} of ${maxSteps}`,
    ),
    element('td', { class: 'created' }, formatTime(job.created_at)),
  );
}

/** A word with a colour; where the end can be told, with what is left. */
export function statusMark({ status, compact, estimated_finish: finish }: Job): HTMLElement {
  const left = finish === null ? '' : `, ${formatDuration(finish - Date.now() / 1000)} left`;
  const stop = compact.stop_request === null ? '' : ` (to be ${compact.stop_request})`;
  return element('span', { class: `status ${status}` }, `${status}${stop}${left}`);
}

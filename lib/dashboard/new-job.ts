import { getJson, postJson, request } from './api.js';
import type { Job, JobPlan, Page } from './types.js';
import { element, notice } from './elements.js';
import { formatBytes, formatCount, formatDuration } from './format.js';

interface Model {
  readonly id: string;
}
interface StoredFile {
  readonly id: string;
  readonly filename: string;
  readonly status_details: string;
}

const methods = ['compact', 'lora', 'qlora', 'dense', 'galore'];

/** A form: a file that is checked line by line, a model, a method; what it would take; and the job. */
export async function showNewJob(main: HTMLElement, signal: AbortSignal): Promise<void> {
  const [models, files] = await Promise.all([
    getJson<Page<Model>>('v1/models', signal),
    getJson<Page<StoredFile>>('v1/files?limit=100', signal),
  ]);
  const file = element('select', { id: 'file', required: true }, ...files.data.map(fileOption));
  const upload = element('input', { id: 'upload', type: 'file', accept: '.jsonl,.ndjson' });
  const verdict = element('p', { id: 'verdict', role: 'status' });
  upload.addEventListener('change', () => {
    const [chosen] = upload.files ?? [];
    if (chosen === undefined) return;
    verdict.textContent = `Sending ${chosen.name}, ${formatBytes(chosen.size)} ...`;
    void take(chosen);
  });
  const take = async (chosen: File): Promise<void> => {
    try {
      const stored = await send(chosen);
      file.prepend(fileOption(stored));
      file.value = stored.id;
      verdict.className = '';
      verdict.textContent = `${stored.filename}: ${stored.status_details}`;
    } catch (error) {
      verdict.className = 'error';
      verdict.textContent = (error as Error).message;
    }
  };
  const model = element(
    'select',
    { id: 'model', required: true },
    ...models.data.map(({ id }) => element('option', { value: id }, id)),
  );
  const method = element(
    'select',
    { id: 'method' },
    ...methods.map((name) => element('option', { value: name }, name)),
  );
  const epochs = element('input', {
    id: 'epochs',
    type: 'number',
    min: 0.1,
    max: 1000,
    step: 'any',
    placeholder: 'auto',
  });
  const suffix = element('input', {
    id: 'suffix',
    maxlength: 64,
    pattern: '[A-Za-z0-9._\\-]*',
    placeholder: 'a name for the result',
  });
  const prompts = element('textarea', { id: 'prompts', rows: 2, placeholder: 'none' });
  const promptLines = (): string[] => prompts.value.split('\n').filter((line) => line.trim() !== '');
  const takes = element('p', { id: 'takes', role: 'status' });
  const body = (): object => ({
    model: model.value,
    training_file: file.value,
    ...(suffix.value && { suffix: suffix.value }),
    ...(epochs.value && { hyperparameters: { n_epochs: Number(epochs.value) } }),
    compact: {
      method: method.value,
      ...(promptLines().length > 0 && { samplePrompts: promptLines() }),
    },
  });
  const told = async (work: () => Promise<void>): Promise<void> => {
    takes.className = '';
    takes.textContent = 'Planning ...';
    await work().catch((error: Error) => {
      takes.className = 'error';
      takes.textContent = error.message;
    });
  };
  const plan = (): Promise<void> =>
    told(async () => {
      const found = await postJson<JobPlan>('v1/fine_tuning/plan', body());
      takes.textContent = `${formatBytes(found.planned_bytes + found.overhead_bytes)} on ${found.device}, ${found.max_steps} steps, ${formatCount(found.num_tokens)} tokens`;
    });
  const create = (): Promise<void> =>
    told(async () => {
      const job = await postJson<Job>('v1/fine_tuning/jobs', body());
      notice(`Job ${job.id} is ${job.status}`);
      location.hash = `#job=${job.id}`;
    });
  const field = (label: string, control: HTMLElement, hint?: string): HTMLElement =>
    element(
      'p',
      { class: 'field' },
      element('label', { for: control.id }, label),
      control,
      hint === undefined ? undefined : element('small', {}, hint),
    );
  const form = element(
    'form',
    {},
    field(
      'New file',
      upload,
      'JSON lines: { "messages": [...] }, { "prompt", "completion" }, { "text" }, or preference pairs',
    ),
    verdict,
    field('Training file', file),
    field('Model', model),
    field('Method', method),
    field('Epochs', epochs),
    field('Suffix', suffix),
    field(
      'Sample prompts',
      prompts,
      'One a line, at most 4: after each evaluation the model writes on from them',
    ),
    element(
      'p',
      { class: 'actions' },
      element('button', { type: 'button', click: () => void plan() }, 'What would it take?'),
      element('button', { type: 'submit' }, 'Start'),
    ),
    takes,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void create();
  });
  main.replaceChildren(element('h2', {}, 'New job'), form);
}

const fileOption = ({ id, filename, status_details: details }: StoredFile): HTMLElement =>
  element('option', { value: id }, `${filename} (${details})`);

async function send(chosen: File): Promise<StoredFile> {
  const form = new FormData();
  form.append('purpose', 'fine-tune');
  form.append('file', chosen);
  const start = performance.now();
  const stored = (await (await request('v1/files', { method: 'POST', body: form })).json()) as StoredFile;
  notice(`Sent and checked in ${formatDuration((performance.now() - start) / 1000)}`);
  return stored;
}

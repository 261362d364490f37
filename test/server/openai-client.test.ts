/** The official client of OpenAI's API, unchanged, over all of fine-tuning, files, models and text. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { byteTokenizer } from '../../lib/data/byte-tokenizer.js';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI, { toFile } from 'openai';
import type { FineTuningJob } from 'openai/resources/fine-tuning/jobs/jobs.js';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';
import { RunningServer } from '../helpers/running-server.js';

const chats = ['one', 'two', 'three'].map((word) => ({
  messages: [
    { role: 'user', content: `Say ${word}` },
    { role: 'assistant', content: word },
  ],
}));
const pairs = ['one', 'two'].map((word) => ({ prompt: `Say ${word}: `, chosen: word, rejected: 'no' }));
const jsonl = (records: readonly object[]): string =>
  `${records.map((record) => JSON.stringify(record)).join('\n')}\n`;

let server: RunningServer;
let client: OpenAI;
let chatFile: string;
let pairFile: string;

beforeAll(async () => {
  server = await RunningServer.start();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: await server.key(), maxRetries: 0 });
  await writeModelFolder(join(server.directory, 'models', 'tiny'), modelOfBytes('llama3'));
  const upload = async (name: string, records: readonly object[]): Promise<string> =>
    (
      await client.files.create({
        file: await toFile(Buffer.from(jsonl(records)), name),
        purpose: 'fine-tune',
      })
    ).id;
  chatFile = await upload('chats.jsonl', chats);
  pairFile = await upload('pairs.jsonl', pairs);
});
afterAll(() => server[Symbol.asyncDispose]());

const create = (others: object = {}): Promise<FineTuningJob> =>
  client.fineTuning.jobs.create({ model: 'tiny', training_file: chatFile, ...others });

describe('files', () => {
  test('are uploaded, listed, read and deleted', async () => {
    const content = jsonl(chats);
    const file = await client.files.create({
      file: await toFile(Buffer.from(content), 'more.jsonl'),
      purpose: 'fine-tune',
    });
    expect(file).toMatchObject({
      object: 'file',
      bytes: Buffer.byteLength(content),
      filename: 'more.jsonl',
      purpose: 'fine-tune',
      status: 'processed',
      status_details: '3 records of the kind messages',
    });
    expect(await client.files.retrieve(file.id)).toEqual(file);
    expect((await client.files.waitForProcessing(file.id)).status).toBe('processed');
    expect(await (await client.files.content(file.id)).text()).toBe(content);
    const listed = [];
    for await (const one of client.files.list({ limit: 1 })) listed.push(one.id);
    expect(listed).toEqual([file.id, pairFile, chatFile]);
    const ascending = await client.files.list({ order: 'asc', purpose: 'fine-tune' });
    expect(ascending.data.map(({ id }) => id)).toEqual(listed.toReversed());
    expect((await client.files.list({ purpose: 'batch' })).data).toEqual([]);
    expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
    await expect(client.files.retrieve(file.id)).rejects.toMatchObject({
      status: 404,
      code: 'file_not_found',
    });
    expect([...server.storedNames].sort()).toEqual([chatFile, pairFile].sort());
  });
});

describe('models', () => {
  test('are folders, also of makers, and presets', async () => {
    await mkdir(join(server.directory, 'models', 'maker'));
    await writeModelFolder(join(server.directory, 'models', 'maker', 'small'), modelOfBytes('gpt2'));
    const ids = [];
    for await (const { id, object } of client.models.list()) {
      expect(object).toBe('model');
      ids.push(id);
    }
    expect(ids).toEqual(expect.arrayContaining(['tiny', 'maker/small', 'llama-demo']));
    expect(await client.models.retrieve('maker/small')).toMatchObject({
      id: 'maker/small',
      owned_by: 'server',
    });
    await expect(client.models.retrieve('none')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
  });
});

describe('jobs', () => {
  test('say what was asked for, and are the recipe that it means', async () => {
    const job = await create({
      method: {
        type: 'supervised',
        supervised: { hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate_multiplier: 0.5 } },
      },
      suffix: 'mine',
      seed: 7,
      metadata: { team: 'a' },
      validation_file: chatFile,
      compact: { method: { name: 'lora', r: 4 }, sequenceLength: 64, data: { truncate: true } },
    });
    expect(job).toMatchObject({
      object: 'fine_tuning.job',
      model: 'tiny',
      status: 'queued',
      training_file: chatFile,
      validation_file: chatFile,
      hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate_multiplier: 0.5 },
      method: { type: 'supervised' },
      seed: 7,
      metadata: { team: 'a' },
      fine_tuned_model: null,
      finished_at: null,
      trained_tokens: null,
      estimated_finish: null,
      error: null,
      result_files: [],
      compact: { plan: { device: 'cpu', planned_bytes: 1_000_000 } },
    });
    const path = join(server.directory, 'files', chatFile);
    expect(server.jobs.latest.recipe).toEqual({
      model: join(server.directory, 'models', 'tiny'),
      method: { name: 'lora', r: 4 },
      sequenceLength: 64,
      numTrainEpochs: 2,
      batchSize: 4,
      learningRate: 1e-4, // half of what adapters take
      seed: 7,
      data: { records: path, format: 'jsonl', validation: path, packing: false, truncate: true },
    });
    expect(await client.fineTuning.jobs.retrieve(job.id)).toEqual(job);
  });

  test('of presets and of preference pairs are other recipes', async () => {
    await create({ model: 'llama-demo', hyperparameters: { n_epochs: 'auto' } });
    expect(server.jobs.latest.recipe).toEqual({
      model: { preset: 'llama-demo' },
      learningRate: 0.004, // it begins from scratch
      seed: 42,
      data: { records: join(server.directory, 'files', chatFile), format: 'jsonl' },
    });
    const { method } = await create({
      training_file: pairFile,
      method: { type: 'dpo', dpo: { hyperparameters: { beta: 0.2, batch_size: 3, n_epochs: 1 } } },
    });
    expect(method).toEqual({
      type: 'dpo',
      dpo: { hyperparameters: { beta: 0.2, batch_size: 3, n_epochs: 1 } },
    });
    expect(server.jobs.latest.recipe).toMatchObject({
      preference: { beta: 0.2 },
      batchSize: 6, // a pair is two sequences
      numTrainEpochs: 1,
    });
  });

  test('of the same idempotency key are one', async () => {
    const headers = { 'Idempotency-Key': 'once' };
    const body = { model: 'tiny', training_file: chatFile };
    const first = await client.fineTuning.jobs.create(body, { headers });
    expect((await client.fineTuning.jobs.create(body, { headers })).id).toBe(first.id);
    await expect(
      client.fineTuning.jobs.create({ ...body, suffix: 'other' }, { headers }),
    ).rejects.toMatchObject({ status: 409, code: 'job_state' });
  });

  test('of a key that has as many as it may are found again', async () => {
    const apiKey = await server.key({ maxJobs: 1 });
    const limited = new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
    const file = await limited.files.create({
      file: await toFile(Buffer.from(jsonl(chats)), 'chats.jsonl'),
      purpose: 'fine-tune',
    });
    const body = { model: 'tiny', training_file: file.id };
    const headers = { 'Idempotency-Key': 'only' };
    const only = await limited.fineTuning.jobs.create(body, { headers });
    expect((await limited.fineTuning.jobs.create(body, { headers })).id).toBe(only.id);
    await expect(limited.fineTuning.jobs.create(body)).rejects.toMatchObject({ code: 'jobs_limit' });
  });

  test('wait behind others when they say so, and go before them by a key that may say that', async () => {
    const priorityOf = (job: FineTuningJob): unknown =>
      (job as unknown as { compact: { priority: number } }).compact.priority;
    const withPriority = (priority: number, by = client): Promise<FineTuningJob> =>
      by.fineTuning.jobs.create({ model: 'tiny', training_file: chatFile, compact: { priority } } as never);
    expect(priorityOf(await create())).toBe(0);
    expect(priorityOf(await withPriority(-5))).toBe(-5);
    await expect(withPriority(1)).rejects.toMatchObject({ status: 403, code: 'insufficient_scope' });
    await expect(withPriority(101)).rejects.toMatchObject({ status: 400, param: 'compact.priority' });
    const { owner } = (await server.keys.list())[0]!;
    const apiKey = await server.key({ owner, scopes: ['jobs', 'admin'] });
    const admin = new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
    expect(priorityOf(await withPriority(7, admin))).toBe(7);
    expect(server.jobs.latest).toMatchObject({ priority: 7 });
  });

  test('tell what they wait for while they are queued', async () => {
    const { id } = await create();
    const awaited = async (): Promise<unknown> =>
      (
        (await client.fineTuning.jobs.retrieve(id)) as unknown as {
          compact: { waits_for: unknown };
        }
      ).compact.waits_for;
    const told: unknown[] = [];
    for (const fit of ['now', 'later', 'crowded', 'never'] as const) {
      server.jobs.fit = fit;
      told.push(await awaited());
    }
    server.jobs.fit = 'now';
    expect(told).toEqual(['turn', 'jobs', 'memory', 'server']);
    server.jobs.start(id);
    expect(await awaited()).toBeNull();
  });

  test('of a model that nobody has name the nearest', async () => {
    await expect(create({ model: 'llama-dem' })).rejects.toThrow('Did you mean "llama-demo"?');
    await expect(client.models.retrieve('tinny')).rejects.toThrow('Did you mean "tiny"?');
  });

  test('run to their end, with events, checkpoints, results and a model', async () => {
    const { id } = await create({
      suffix: 'end',
      integrations: [{ type: 'wandb', wandb: { project: 'p' } }],
    });
    server.jobs.start(id);
    for (const step of [2, 4, 6])
      server.jobs.step(id, step, { loss: 1 / step, ...(step > 2 && { evalLoss: 1 }) });
    const running = await client.fineTuning.jobs.retrieve(id);
    expect(running).toMatchObject({
      status: 'running',
      trained_tokens: null,
      compact: { step: 6, max_steps: 10 },
    });
    expect(running.estimated_finish).toBeGreaterThanOrEqual(running.created_at);
    await writeModelFolder(join(server.jobs.folder(id), 'model-6'), modelOfBytes('llama3'));
    server.jobs.succeed(id, { folder: 'model-6', step: 6 });
    const job = await client.fineTuning.jobs.retrieve(id);
    const name = `ft:tiny:end:${id}`;
    expect(job).toMatchObject({ status: 'succeeded', fine_tuned_model: name, trained_tokens: 3000 });

    const events = [];
    for await (const event of client.fineTuning.jobs.listEvents(id, { limit: 2 })) events.push(event);
    expect(events.map(({ message }) => message)).toEqual([
      'Job has succeeded',
      ...['Step 6', 'Step 4', 'Step 2', 'Job runs', 'Job is queued'],
      'Integrations are passed over: this server sends nothing to other services',
    ]);
    expect(events.map(({ level }) => level)).toEqual([...Array<string>(6).fill('info'), 'warn']);
    expect(events[2]).toMatchObject({
      object: 'fine_tuning.job.event',
      type: 'metrics',
      data: { step: 4, train_loss: 0.25, valid_loss: 1 },
    });

    const checkpoints = [];
    for await (const one of client.fineTuning.jobs.checkpoints.list(id, { limit: 1 })) checkpoints.push(one);
    expect(checkpoints.map((one) => one.step_number)).toEqual([6, 4, 2]);
    expect(checkpoints[0]).toMatchObject({
      object: 'fine_tuning.job.checkpoint',
      fine_tuned_model_checkpoint: `${name}:ckpt-step-6`,
      fine_tuning_job_id: id,
      metrics: { step: 6, train_loss: 1 / 6, full_valid_loss: 1 },
    });
    expect(await client.models.retrieve(checkpoints[1]!.fine_tuned_model_checkpoint)).toMatchObject({
      object: 'model',
    });

    const [result] = job.result_files;
    const content = await (await client.files.content(result!)).text();
    expect(content).toBe('step,train_loss,valid_loss\n2,0.5,\n4,0.25,1\n6,0.16666666666666666,1\n');
    expect(await client.files.retrieve(result!)).toMatchObject({
      purpose: 'fine-tune-results',
      bytes: content.length,
    });
    expect((await client.models.list()).data.map((model) => model.id)).toContain(name);
    const more = await create({ model: name });
    expect(server.jobs.latest.recipe['model']).toBe(join(server.jobs.folder(id), 'model-6'));
    expect(more.model).toBe(name);
    const written = await client.completions.create({ model: name, prompt: 'a', max_tokens: 2 });
    expect(written.usage?.completion_tokens).toBeLessThanOrEqual(2);
  });

  test('leave models that are deleted with their checkpoints once nothing trains from them', async () => {
    const { id } = await create({ suffix: 'gone' });
    server.jobs.start(id);
    server.jobs.step(id, 2, { loss: 1 });
    const name = `ft:tiny:gone:${id}`;
    const missing = { status: 404, code: 'model_not_found' };
    await expect(client.models.delete(name)).rejects.toMatchObject(missing);
    await writeModelFolder(join(server.jobs.folder(id), 'model-2'), modelOfBytes('llama3'));
    server.jobs.succeed(id, { folder: 'model-2', step: 2 });
    const checkpoint = `${name}:ckpt-step-2`;
    const isAnother = { status: 400, code: 'invalid_value', param: 'model' };
    for (const other of ['tiny', 'llama-demo', checkpoint])
      await expect(client.models.delete(other)).rejects.toMatchObject(isAnother);
    const stranger = new OpenAI({
      ...{ baseURL: `${server.url}/v1`, maxRetries: 0 },
      apiKey: await server.key({ owner: 'stranger' }),
    });
    await expect(stranger.models.delete(name)).rejects.toMatchObject(missing);
    for (const model of [name, checkpoint]) {
      const user = await create({ model });
      await expect(client.models.delete(name)).rejects.toMatchObject({ status: 409, code: 'model_in_use' });
      await client.fineTuning.jobs.cancel(user.id);
    }
    expect(existsSync(server.jobs.folder(id))).toBe(true);
    for (let times = 0; times < 2; times++)
      expect(await client.models.delete(name)).toEqual({ id: name, object: 'model', deleted: true });
    expect(existsSync(server.jobs.folder(id))).toBe(false);
    await expect(client.models.retrieve(name)).rejects.toMatchObject(missing);
    await expect(client.models.retrieve(checkpoint)).rejects.toMatchObject(missing);
    await expect(create({ model: name })).rejects.toMatchObject(missing);
    expect(await client.fineTuning.jobs.retrieve(id)).toMatchObject({
      status: 'succeeded',
      fine_tuned_model: null,
    });
    const audited = await server.database.query(
      "SELECT subject, status FROM server_audit WHERE action LIKE 'DELETE /v1/models%' AND status = 200",
    );
    expect(audited).toEqual(Array.from({ length: 2 }, () => ({ subject: name, status: 200 })));
  });

  test('are found by what their owner wrote on them', async () => {
    const strange = 'ü [x] & \0 \ud800';
    const labelled = [
      await create({ metadata: { team: 'found', [strange]: strange } }),
      await create({ metadata: { team: 'found', run: '2' } }),
      await create({ metadata: { run: 'found' } }),
    ];
    const found = async (metadata: Record<string, string> | null): Promise<readonly string[]> => {
      const ids: string[] = [];
      for await (const { id } of client.fineTuning.jobs.list({ limit: 1, metadata })) ids.push(id);
      return ids;
    };
    const [first, second] = labelled.map(({ id }) => id);
    expect(await found({ team: 'found' })).toEqual([second, first]);
    expect(await found({ team: 'found', run: '2' })).toEqual([second]);
    expect(await found({ team: 'Found' })).toEqual([]);
    const without = await found(null);
    expect(without).not.toHaveLength(0);
    expect(labelled.map(({ id }) => without.includes(id))).toEqual([false, false, false]);
    const list = (query: object): Promise<unknown> => client.get('/fine_tuning/jobs', { query });
    await expect(list({ 'metadata[team]': 'x'.repeat(513) })).rejects.toMatchObject({ status: 400 });
    await expect(list({ 'metadata[]': 'x' })).rejects.toMatchObject({ code: 'unknown_parameter' });
    await expect(list({ metadata: 'some' })).rejects.toMatchObject({ code: 'invalid_value' });
  });

  test('are listed page by page, paused, resumed and cancelled', async () => {
    const listed = [];
    for await (const { id } of client.fineTuning.jobs.list({ limit: 2 })) listed.push(id);
    expect(listed.length).toBeGreaterThan(4);
    expect(listed.toSorted().toReversed()).toEqual(listed);
    const { id } = await create();
    expect(await client.fineTuning.jobs.pause(id)).toMatchObject({ id, status: 'paused' });
    expect(await client.fineTuning.jobs.resume(id)).toMatchObject({ status: 'queued' });
    expect(await client.fineTuning.jobs.cancel(id)).toMatchObject({ status: 'cancelled' });
    await expect(client.fineTuning.jobs.cancel(id)).rejects.toMatchObject({ status: 409, code: 'job_state' });
  });

  test('that failed say why, without paths of the server', async () => {
    const { id } = await create();
    const what = `${join(server.directory, 'files', chatFile)}, line 2, is not a record`;
    const error = { code: 'ERR_COMPACT_DATA_RECORD', what, op: 'data', remedy: 'Mend it' };
    server.jobs.change(id, { status: 'failed', finishedAt: Date.now(), error }, what);
    const job = await client.fineTuning.jobs.retrieve(id);
    expect(job.error).toEqual({
      code: 'ERR_COMPACT_DATA_RECORD',
      param: 'data',
      message: `${chatFile}, line 2, is not a record. Mend it`,
    });
    expect(JSON.stringify((await client.fineTuning.jobs.listEvents(id)).data)).not.toContain(
      server.directory,
    );
  });

  test('are planned without being made', async () => {
    const before = server.jobs.latest.id;
    const plan = await client.post('/fine_tuning/plan', { body: { model: 'tiny', training_file: chatFile } });
    expect(plan).toEqual({
      object: 'fine_tuning.plan',
      bytes_by_kind: {},
      dense_bytes_by_kind: {},
      device: 'cpu',
      planned_bytes: 1_000_000,
      overhead_bytes: 0,
      num_parameters: 1234,
      max_steps: 10,
      num_tokens: 5000,
    });
    expect(server.jobs.latest.id).toBe(before);
  });
});

describe('text', () => {
  const asked = { model: 'tiny', max_tokens: 6, temperature: 0.5, seed: 3 } as const;

  test('is written whole, and the same as a stream', async () => {
    const whole = await client.completions.create({ ...asked, prompt: 'abc' });
    expect(whole).toMatchObject({ object: 'text_completion', model: 'tiny', usage: { prompt_tokens: 3 } });
    const { text, finish_reason: reason } = whole.choices[0]!;
    const stream = await client.completions.create({ ...asked, prompt: 'abc', stream: true });
    let streamed = '';
    const reasons = [];
    for await (const { choices } of stream) {
      streamed += choices[0]!.text;
      reasons.push(choices[0]!.finish_reason);
    }
    expect(streamed).toBe(text);
    expect(reasons.at(-1)).toBe(reason);
  });

  test('answers a conversation, by the template of the model', async () => {
    const template =
      "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}";
    const folder = join(server.directory, 'models', 'chatty');
    await writeModelFolder(folder, modelOfBytes('llama3'), {
      ...byteTokenizer.files(),
      'chat_template.jinja': template,
    });
    const messages = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'hi' }] }];
    const body = { ...asked, model: 'chatty', messages };
    const whole = await client.chat.completions.create(body);
    expect(whole.object).toBe('chat.completion');
    expect(whole.usage?.prompt_tokens).toBe('<user>hi<a>'.length);
    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta));
    expect(deltas[0]!.role).toBe('assistant');
    expect(deltas.map(({ content }) => content ?? '').join('')).toBe(whole.choices[0]!.message.content);
    expect(chunks.at(-1)!.usage).toEqual(whole.usage);
    await expect(client.chat.completions.create({ ...body, model: 'tiny' })).rejects.toMatchObject({
      status: 400,
      code: 'invalid_value',
    });
  });

  test('one model makes room for another', async () => {
    const write = async (model: string): Promise<string> =>
      (await client.completions.create({ ...asked, model, prompt: 'abc' })).choices[0]!.text;
    const together = await Promise.all([write('tiny'), write('tiny')]);
    await write('chatty');
    expect([await write('tiny'), ...together]).toEqual(Array(3).fill(together[0]));
  });
});

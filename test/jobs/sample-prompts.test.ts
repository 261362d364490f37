/** What a job's model writes while it learns. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JobEvent } from '../../lib/jobs/index.js';
import type { NewJobEvent } from '../../lib/jobs/job.js';
import type { JobProgress } from '../../lib/jobs/job-store.js';
import type * as jobTask from '../../lib/jobs/job-task.js';
import type { JobTask } from '../../lib/jobs/job-task.js';
import type * as processes from '../../lib/jobs/process/run-process.js';
import { planJob } from '../../lib/jobs/plan-job.js';
import { checkCompactOptions } from '../../lib/server/jobs/compact-options.js';
import { Sampler } from '../../lib/train/index.js';
import { built } from '../helpers/built.js';
import { allEvents, become, isStatus, JobFixture, weightsOf } from '../helpers/job-fixture.js';
import { killAt } from '../helpers/killed-processes.js';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';

const { jobWorkerFile } = built('jobs/job-task') as typeof jobTask;
const { runProcess } = built('jobs/process/run-process') as typeof processes;

const devices = [{ name: 'cpu', memoryBytes: 4 * 2 ** 30 }];
const prompts = ['2=', '17='];
/** More than a sequence of the recipe has. */
const long = '7'.repeat(40);

let fixture: JobFixture;
beforeAll(async () => {
  fixture = await JobFixture.make();
});
afterAll(() => fixture.remove());

const recipe = (change: object = {}) => fixture.recipe({ maxSteps: 20, ...change });

/** Does a job. @returns its weights, its events, and the folder of its model */
async function train(change: object) {
  await using queue = await fixture.openQueue();
  const { id } = await queue.create(fixture.request({ maxSteps: 20, ...change }));
  const { result } = await become(queue, id, isStatus('succeeded'));
  const folder = join(queue.folder(id), result!.folder!);
  return { folder, weights: weightsOf(folder), events: await allEvents(queue, id) };
}

const samplesOf = (events: readonly JobEvent[]): readonly JobEvent['data'][] =>
  events.filter(({ data }) => 'sample' in data).map(({ data }) => data);

test('samples are told once with each evaluation, whatever is lost, and change no bit of what is learnt', async () => {
  const plain = await train({});
  expect(samplesOf(plain.events)).toEqual([]);
  using kills = killAt(fixture.newDirectory(), [
    { step: 10, what: 'step' },
    { step: 13, what: 'step' },
  ]);
  const { folder, weights, events } = await train({ samplePrompts: [...prompts, long] });
  expect(kills.killed()).toHaveLength(2);
  expect(weights).toEqual(plain.weights);
  const samples = samplesOf(events);
  expect(samples.map(({ step, prompt }) => [step, prompt])).toEqual(
    [10, 20].flatMap((step) => prompts.map((prompt) => [step, prompt])),
  );
  const problems = events.filter(({ level, data }) => level === 'warn' && data['prompt'] === long);
  expect(problems.map(({ message }) => message)).toEqual(
    [10, 20].map((step) => `No sample after step ${step}: the prompt is longer than the context`),
  );
  await using sampler = await Sampler.open({ checkpoint: folder, contextLength: 32, threads: 1 });
  for (const prompt of prompts) {
    const { text } = await sampler.sample({ prompt, maxNewTokens: 48, temperature: 0 });
    expect(samples.findLast((sample) => sample['prompt'] === prompt)).toEqual({
      step: 20,
      prompt,
      sample: text,
    });
  }
});

test('samples of a step whose checkpoint is written when its process is lost are told by the next one', async () => {
  using kills = killAt(fixture.newDirectory(), [{ step: 10, what: 'step' }]);
  const { events } = await train({ samplePrompts: prompts, saveSteps: 5 });
  expect(kills.killed()).toHaveLength(1);
  expect(samplesOf(events).map(({ step, prompt }) => [step, prompt])).toEqual(
    [10, 20].flatMap((step) => prompts.map((prompt) => [step, prompt])),
  );
});

test('samples that nobody heard of are told by the next process as they were', async () => {
  const folder = fixture.newDirectory();
  const task: JobTask = {
    recipe: recipe({ samplePrompts: [...prompts, long] }),
    ...{ folder, presetDirectory: folder, device: 'cpu', threads: 1, maxSteps: 20 },
    known: { step: 0, trainedTokens: 0, checkpoints: [], attempts: 1 },
  };
  /** Runs a process where so many steps are known. @returns the samples that it tells */
  const samplesBehind = async (step: number): Promise<readonly NewJobEvent[]> => {
    const events: NewJobEvent[] = [];
    const onMessage = (progress: JobProgress): unknown => events.push(...progress.events);
    await runProcess<unknown, JobProgress>(
      jobWorkerFile,
      { ...task, known: { ...task.known, step } },
      { onMessage },
    );
    return events.filter(({ data }) => 'prompt' in data);
  };
  const samples = await samplesBehind(0);
  expect(samples.map(({ data }) => data['step'])).toEqual([10, 10, 10, 20, 20, 20]);
  expect(await samplesBehind(8)).toEqual(samples);
  expect(await samplesBehind(20)).toEqual([]);
  // As if the process had been lost before it wrote those of the last step, and in the middle of a line.
  const file = join(folder, 'samples.jsonl');
  const [first = '', last = ''] = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  writeFileSync(file, `\n${first}\n\n${last.slice(0, 9)}`);
  expect(await samplesBehind(8)).toEqual(samples);
});

test.each<[string, unknown, string]>([
  ['a single text', '2=', 'samplePrompts'],
  ['too many', ['1', '2', '3', '4', '5'], 'samplePrompts'],
  ['one that is too long', ['1', 'x'.repeat(513)], 'samplePrompts.1'],
  ['an empty one', [''], 'samplePrompts.0'],
])('prompts are refused before a job is made: %s', async (_, samplePrompts, op) => {
  const refused = {
    code: 'ERR_COMPACT_CONFIG_VALUE',
    expected: 'at most 4 texts of 1 to 512 characters',
  };
  const options = { presetDirectory: join(fixture.folder, 'presets'), devices };
  await expect(planJob(recipe({ samplePrompts }), options)).rejects.toMatchObject({ ...refused, op });
  expect(() => checkCompactOptions({ samplePrompts })).toThrow(
    expect.objectContaining({ ...refused, op: `compact.${op}` }),
  );
});

test('a model that writes no text is refused prompts', async () => {
  const records = join(fixture.folder, 'letters.jsonl');
  const lines = Array.from('xyxyxyxyxyxy', (label) => JSON.stringify({ text: `is ${label}`, label }));
  writeFileSync(records, lines.join('\n'));
  const data = { records, classes: ['x', 'y'] };
  const options = { presetDirectory: join(fixture.folder, 'presets'), devices };
  const model = await writeModelFolder(join(fixture.folder, 'encoder'), modelOfBytes('bert'));
  const given = { model, data, evalSteps: 5, maxSteps: 10, sequenceLength: 12 };
  await expect(planJob(recipe({ ...given, samplePrompts: prompts }), options)).rejects.toMatchObject({
    code: 'ERR_COMPACT_CONFIG_VALUE',
    op: 'samplePrompts',
  });
  expect(await planJob(recipe(given), options)).toMatchObject({ maxSteps: 10 });
});

import * as v from 'valibot';
import { isCompactError } from '../errors.js';
import { optional } from '../options.js';
import type { Trainer } from '../train/index.js';
import type { NewJobEvent } from './job.js';

const maxPrompts = 4;
const maxCharacters = 512;
const sampleTokens = 48;
const expected = `at most ${maxPrompts} texts of 1 to ${maxCharacters} characters`;

/** What a job's model writes on from after each evaluation, so that one sees what it learns. Default: nothing. */
export const samplePrompts = optional(
  v.pipe(
    v.array(v.pipe(v.string(expected), v.nonEmpty(expected), v.maxLength(maxCharacters, expected)), expected),
    v.maxLength(maxPrompts, expected),
  ),
);

/**
 * Events with what the model writes after its latest step, the likeliest token each time: nothing is drawn, so nothing of the run
 * changes. All of it is asked for at once, and so comes before the next step. A prompt that the model cannot take, such as one
 * that is longer than its context, gives a warning: no training is lost for a sample.
 */
export function writeSamples(
  trainer: Pick<Trainer, 'sample'>,
  step: number,
  prompts: readonly string[],
): Promise<readonly NewJobEvent[]> {
  return Promise.all(
    prompts.map((prompt) =>
      trainer.sample({ prompt, maxNewTokens: sampleTokens, temperature: 0 }).then(
        ({ text }) => sampleEvent(step, prompt, text),
        (error: unknown) => failureEvent(step, prompt, error),
      ),
    ),
  );
}

const sampleEvent = (step: number, prompt: string, sample: string): NewJobEvent => ({
  level: 'info',
  type: 'message',
  message: `Sample after step ${step}`,
  data: { step, prompt, sample },
});

function failureEvent(step: number, prompt: string, error: unknown): NewJobEvent {
  const why = isCompactError(error) ? error.what : String(error);
  const message = `No sample after step ${step}: ${why}`;
  return { level: 'warn', type: 'message', message, data: { step, prompt } };
}

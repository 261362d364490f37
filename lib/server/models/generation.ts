import type { SampleOptions, SampleReport } from '../../train/index.js';

/** What a client may say of a text that is to be written, in the words of the API. */
export interface GenerationBody {
  readonly model: string;
  readonly max_tokens?: number | null;
  readonly max_completion_tokens?: number | null;
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly seed?: number | null;
  readonly stop?: string | readonly string[] | null;
  readonly n?: number | null;
  readonly stream?: boolean | null;
  readonly stream_options?: { readonly include_usage?: boolean } | null;
  readonly user?: string;
}

const stopText = { type: 'string', minLength: 1, maxLength: 256, description: 'a text that is not empty' };

/** Of what both ways to ask for text have. */
export const generationProperties = (newTokens: number): object => {
  const tokens = {
    type: ['integer', 'null'],
    description: `tokens to write at most, a whole number from 1 to ${newTokens}`,
    minimum: 1,
    maximum: newTokens,
  };
  return {
    model: { type: 'string', description: 'the name of a model', minLength: 1, maxLength: 300 },
    max_tokens: tokens,
    max_completion_tokens: tokens,
    temperature: { type: ['number', 'null'], description: 'a number from 0 to 2', minimum: 0, maximum: 2 },
    top_p: {
      type: ['number', 'null'],
      description: 'a number above 0, at most 1',
      exclusiveMinimum: 0,
      maximum: 1,
    },
    seed: {
      type: ['integer', 'null'],
      description: 'a whole number from 0 to 2^53 - 1',
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
    },
    stop: {
      description: 'a text that ends the writing, or a list of at most 4',
      anyOf: [{ type: 'null' }, stopText, { type: 'array', maxItems: 4, items: stopText }],
    },
    n: { enum: [1, null], description: '1: one text is written for a request' },
    stream: { type: ['boolean', 'null'], description: 'true or false' },
    stream_options: {
      type: ['object', 'null'],
      description: '{ include_usage }',
      properties: { include_usage: { type: 'boolean', description: 'true or false' } },
      additionalProperties: false,
    },
    user: { type: 'string', description: 'a name of your own, at most 256 characters', maxLength: 256 },
  };
};

/** The same in the words of `Sampler`. */
export function sampleOptionsOf(body: GenerationBody, newTokens: number): SampleOptions {
  const { temperature, top_p: topP, seed, stop } = body;
  const maxNewTokens = body.max_completion_tokens ?? body.max_tokens ?? Math.min(128, newTokens);
  return {
    maxNewTokens,
    ...(temperature !== null && temperature !== undefined && { temperature }),
    ...(topP !== null && topP !== undefined && { topP }),
    ...(seed !== null && seed !== undefined && { seed }),
    ...(stop !== null && stop !== undefined && { stop: [stop].flat() }),
  };
}

/** Why a text ends, in the API's words. */
export const finishReason = (report: SampleReport): 'stop' | 'length' =>
  report.finishReason === 'endOfText' || report.finishReason === 'stop' ? 'stop' : 'length';

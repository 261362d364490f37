import type { FastifyReply, FastifyRequest } from 'fastify';
import { isCompactError } from '../../errors.js';
import type { SampleMessage, SampleReport } from '../../train/index.js';
import { ApiError } from '../api-error.js';
import type { ServerContext } from '../context.js';
import { apiErrorOf } from '../hooks/api-error-of.js';
import { keyOf } from '../hooks/authenticate.js';
import { sortableId } from '../sortable-id.js';
import { clientSignal, onceClosed } from '../streams/client-signal.js';
import { eventFrame, sendEvents } from '../streams/event-stream.js';
import { finishReason, sampleOptionsOf, type GenerationBody } from './generation.js';

/** What a text goes on from. */
export type Prompt = { readonly prompt: string } | { readonly messages: readonly SampleMessage[] };

/** How one of the two ways to ask shows a text, whole or piece by piece. */
export interface AnswerShape {
  readonly idPrefix: string;
  readonly object: string;
  readonly chunkObject: string;
  readonly whole: (text: string) => object;
  readonly piece: (text: string, isFirst: boolean) => object;
  /** In the place of a piece, in the last chunk. */
  readonly end: object;
}

/** What all parts of an answer have. */
interface Answer {
  readonly head: object;
  readonly shape: AnswerShape;
  readonly numPromptTokens: number;
}

/**
 * Writes a text with a model that the client names, and answers with it: as a whole, or as server-sent events.
 * @throws ApiError; what `Sampler` throws
 */
export async function writeText(
  context: ServerContext,
  request: FastifyRequest<{ Body: GenerationBody }>,
  reply: FastifyReply,
  { prompt, shape }: { readonly prompt: Prompt; readonly shape: AnswerShape },
): Promise<unknown> {
  const { body } = request;
  const key = keyOf(request);
  const slot = context.slots.generations.take(key.id);
  onceClosed(reply, () => slot[Symbol.dispose]());
  const signal = clientSignal(reply, context.closing);
  const lease = await context.samplers.use(await folderOf(context, body.model, key.owner));
  onceClosed(reply, () => lease[Symbol.dispose]());
  const { sampler } = lease;
  const options = { ...sampleOptionsOf(body, context.limits.newTokens), ...prompt, signal };
  const created = Math.floor(Date.now() / 1000);
  const head = { id: sortableId(shape.idPrefix), created, model: body.model };
  const answer = { head, shape, numPromptTokens: sampler.countPromptTokens(prompt) };
  if (body.stream !== true) return wholeAnswer(answer, await whileServing(sampler.sample(options)));
  const hasUsage = body.stream_options?.include_usage === true;
  const frames = textFrames(sampler.stream(options), answer, hasUsage, (error) =>
    apiErrorOf(error, context.dataDirectory),
  );
  return sendEvents(reply, frames, context.limits.stallMs);
}

/** @throws ApiError model_not_found, invalid_value for a preset, which has no weights */
async function folderOf({ models }: ServerContext, id: string, owner: string): Promise<string> {
  const model = await models.get(id, owner, 'model');
  if ('folder' in model.source) return model.source.folder;
  throw new ApiError('invalid_value', `The model ${id} has no weights before a job has trained it`, {
    param: 'model',
  });
}

async function whileServing(work: Promise<SampleReport>): Promise<SampleReport> {
  try {
    return await work;
  } catch (error) {
    if (!isCompactError(error, 'ERR_COMPACT_ABORTED')) throw error;
    throw new ApiError('unavailable', 'The server is about to stop', { cause: error });
  }
}

const wholeAnswer = ({ head, shape, numPromptTokens }: Answer, report: SampleReport): object => ({
  ...head,
  object: shape.object,
  choices: [choice(shape.whole(report.text), finishReason(report))],
  usage: usageOf(report, numPromptTokens),
});

async function* textFrames(
  pieces: AsyncGenerator<string, SampleReport>,
  { head, shape, numPromptTokens }: Answer,
  hasUsage: boolean,
  toApiError: (error: unknown) => ApiError,
): AsyncGenerator<string> {
  const chunk = (choices: readonly object[], others: object = {}): string =>
    eventFrame({ ...head, object: shape.chunkObject, choices, ...others });
  try {
    let isFirst = true;
    for (;;) {
      const { done, value } = await pieces.next();
      if (done === true) {
        yield chunk([choice(shape.end, finishReason(value))]);
        if (hasUsage) yield chunk([], { usage: usageOf(value, numPromptTokens) });
        yield eventFrame('[DONE]');
        return;
      }
      yield chunk([choice(shape.piece(value, isFirst), null)]);
      isFirst = false;
    }
  } catch (error) {
    // The status was sent long ago: clients read the error out of the stream.
    if (!isCompactError(error, 'ERR_COMPACT_ABORTED')) yield eventFrame(toApiError(error).body);
  } finally {
    await pieces.return(undefined as never);
  }
}

const choice = (part: object, reason: 'stop' | 'length' | null): object => ({
  index: 0,
  ...part,
  logprobs: null,
  finish_reason: reason,
});

const usageOf = ({ numTokens }: SampleReport, numPromptTokens: number): object => ({
  prompt_tokens: numPromptTokens,
  completion_tokens: numTokens,
  total_tokens: numPromptTokens + numTokens,
});

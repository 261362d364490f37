import type { SampleReport } from '../options/types.js';
import { CachedSequences } from './cached-sequences.js';
import type { CheckedSampleOptions } from './draw-token.js';
import type { TextModel } from './text-model.js';
import { TextWriter } from './text-writer.js';

/** Text that is final, of one of several prompts. */
export interface TextPiece {
  /** Number of the prompt. */
  readonly index: number;
  readonly text: string;
}

/**
 * Writes what may follow some prompts, as many at a time as the plan has sequences, each as it would be written alone. What
 * it yields is never empty, and put together it is the texts of the reports.
 *
 * @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_TOKENIZER, ERR_COMPACT_CHAT_TEMPLATE, before anything is written;
 *   ERR_COMPACT_ABORTED, ERR_COMPACT_DISPOSED
 */
export async function* writeTexts(
  model: TextModel,
  prompts: readonly CheckedSampleOptions[],
): AsyncGenerator<TextPiece, SampleReport[]> {
  const sequences = new CachedSequences(model.engine, model.plan, model.contextLength);
  const writers = prompts.map((options) => new TextWriter(model, options));
  const signal = prompts[0]?.signal;
  for (let first = 0; first < writers.length; first += sequences.batchSize) {
    const batch = writers.slice(first, first + sequences.batchSize);
    const ids = batch.map((writer) => writer.ids);
    if (!batch.every(({ isDone }) => isDone)) await sequences.prefill(ids, signal);
    while (!batch.every(({ isDone }) => isDone)) {
      const logits = await sequences.next(ids, signal);
      for (const [offset, writer] of batch.entries()) {
        if (writer.isDone) continue;
        const text = writer.take(logits[offset]!);
        if (text !== '') yield { index: first + offset, text };
      }
    }
  }
  return writers.map((writer) => writer.report());
}

/** The same of one prompt: its text as it comes. */
export async function* writeText(
  model: TextModel,
  options: CheckedSampleOptions,
): AsyncGenerator<string, SampleReport> {
  const pieces = writeTexts(model, [options]);
  for (;;) {
    const { done, value } = await pieces.next();
    if (done === true) return value[0]!;
    yield value.text;
  }
}

/** The same, to its end; `onText` hears every piece. */
export async function writtenText(model: TextModel, options: CheckedSampleOptions): Promise<SampleReport> {
  const pieces = writeText(model, options);
  for (;;) {
    const { done, value } = await pieces.next();
    if (done === true) return value;
    options.onText?.(value);
  }
}

import { TextStream } from '../../../data/index.js';
import { CachedSequences } from '../../generation/cached-sequences.js';
import { likeliest } from '../../generation/likeliest.js';
import type { TextModel } from '../../generation/text-model.js';
import type { Reference } from '../references.js';

type AnsweringModel = Pick<TextModel, 'engine' | 'plan' | 'tokenizer' | 'contextLength' | 'endIds'>;

/**
 * The share of references whose answer the model gives, from 0 to 1: it takes the likeliest token again and again, until the
 * text ends or fills the context. Texts are compared without the white space around them.
 *
 * @param references at least one
 * @param options `answerAfter`: only what follows the last of these marks is compared; a text without one is wrong
 * @throws ERR_COMPACT_ABORTED
 */
export async function exactMatch(
  model: AnsweringModel,
  references: readonly Reference[],
  { answerAfter, signal }: { readonly answerAfter?: string; readonly signal?: AbortSignal },
): Promise<number> {
  const sequences = new CachedSequences(model.engine, model.plan, model.contextLength);
  let numRight = 0;
  for (let first = 0; first < references.length; first += sequences.batchSize) {
    const batch = references.slice(first, first + sequences.batchSize);
    const answers = await answersOf(model, sequences, batch, signal);
    for (const [i, reference] of batch.entries()) {
      const textOf = (answer: readonly number[]): string => decoded(model, reference.prompt, answer);
      const right = comparedPart(textOf(reference.answer), answerAfter);
      if (right !== undefined && comparedPart(textOf(answers[i]!), answerAfter) === right) numRight++;
    }
  }
  return numRight / references.length;
}

/** References whose answer has no such mark: whatever a model writes, they count as wrong. */
export const numWithoutMark = (
  model: Pick<AnsweringModel, 'tokenizer'>,
  references: readonly Reference[],
  mark: string | undefined,
): number =>
  references.filter(({ prompt, answer }) => comparedPart(decoded(model, prompt, answer), mark) === undefined)
    .length;

/** What follows the last mark; undefined without one. */
function comparedPart(text: string, mark: string | undefined): string | undefined {
  if (mark === undefined) return text.trim();
  const at = text.lastIndexOf(mark);
  return at < 0 ? undefined : text.slice(at + mark.length).trim();
}

async function answersOf(
  { tokenizer, contextLength, endIds }: AnsweringModel,
  sequences: CachedSequences,
  batch: readonly Reference[],
  signal: AbortSignal | undefined,
): Promise<readonly (readonly number[])[]> {
  const texts = batch.map(({ prompt }) => ({ ids: [...prompt], isDone: prompt.length >= contextLength }));
  const all = texts.map(({ ids }) => ids);
  await sequences.prefill(all, signal);
  while (!texts.every(({ isDone }) => isDone)) {
    const logits = await sequences.next(all, signal);
    for (const [i, text] of texts.entries()) {
      if (text.isDone) continue;
      const id = likeliest(logits[i]!.subarray(0, tokenizer.vocabularySize));
      if (!endIds.has(id)) text.ids.push(id);
      text.isDone = endIds.has(id) || text.ids.length >= contextLength;
    }
  }
  return texts.map(({ ids }, i) => ids.slice(batch[i]!.prompt.length));
}

/** The text of an answer behind its prompt; control tokens have none. */
function decoded(
  { tokenizer }: Pick<AnsweringModel, 'tokenizer'>,
  prompt: readonly number[],
  answer: readonly number[],
): string {
  const stream = new TextStream(tokenizer, prompt);
  return answer.map((id) => stream.push(id)).join('') + stream.end();
}

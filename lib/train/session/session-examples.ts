import type { Batch, Tokenizer } from '../../data/index.js';
import { ignoreIndex } from '../../data/types.js';
import { layOut, type MarkedTokens } from '../../data/records/index.js';
import { compactError } from '../../errors.js';
import { shown } from '../../options.js';

/** A text as a model reads it, and which of its tokens are learnt. */
export interface SessionExample {
  /** (tokens) */
  readonly tokens: ArrayLike<number>;
  /**
   * (tokens), 1 where a token counts in the loss as what should follow the tokens before it, 0 where it is context. Left
   * out: all count. The first never does.
   */
  readonly weights?: ArrayLike<number>;
}

/**
 * @param vocabularySize ids of the model
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_ARGUMENT for an example that is empty, longer than a sequence, or has a token or a
 *   weight that cannot be
 */
export function checkExamples(
  examples: readonly SessionExample[],
  sequenceLength: number,
  vocabularySize: number,
): readonly MarkedTokens[] {
  if (!Array.isArray(examples) || examples.length === 0)
    throw compactError('ERR_COMPACT_TYPE', 'there are no examples', {
      op: 'examples',
      expected: 'a list of at least one { tokens, weights }',
      received: shown(examples),
    });
  return examples.map((example: SessionExample | null, index) => {
    const { tokens, weights } = example ?? {};
    const check = (op: string, isRight: boolean, expected: string, received: unknown): void => {
      if (isRight) return;
      const what = `example ${index + 1} cannot be learnt from`;
      throw compactError('ERR_COMPACT_ARGUMENT', what, { op, expected, received: shown(received) });
    };
    const length = tokens?.length;
    const fits = Number.isInteger(length) && length! >= 1 && length! <= sequenceLength;
    check('tokens', fits, `1 to ${sequenceLength} ids`, length === undefined ? tokens : `${length} ids`);
    const ids = Array.from(tokens!);
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
    check('tokens', wrong === undefined, `ids from 0 to ${vocabularySize - 1}`, wrong);
    if (weights !== undefined)
      check('weights', weights.length === length, `as many as tokens, ${length}`, `${weights.length}`);
    const marks = weights === undefined ? ids.map(() => 1) : Array.from(weights);
    const odd = marks.find((weight) => weight !== 0 && weight !== 1);
    check('weights', odd === undefined, '0 or 1', odd);
    const counts = Uint8Array.from(marks);
    counts[0] = 0;
    return { ids: Int32Array.from(ids), counts };
  });
}

/** Micro-batches of a number of examples each, one a sequence; the last is filled up with sequences of which nothing counts. */
export function* batchesOf(
  examples: readonly MarkedTokens[],
  batchSize: number,
  sequenceLength: number,
  { padTokenId = 0 }: Pick<Tokenizer, 'padTokenId'>,
): Generator<Batch> {
  for (let first = 0; first < examples.length; first += batchSize) {
    const tokens = new Int32Array(batchSize * sequenceLength).fill(padTokenId);
    const targets = new Int32Array(batchSize * sequenceLength).fill(ignoreIndex);
    const some = examples.slice(first, first + batchSize);
    for (const [row, example] of some.entries()) {
      const sequence = layOut([example], sequenceLength, padTokenId);
      tokens.set(sequence.tokens, row * sequenceLength);
      targets.set(sequence.targets, row * sequenceLength);
    }
    yield { inputs: { tokens, targets }, numCountedTokens: countedTokens(some) };
  }
}

export const countedTokens = (examples: readonly MarkedTokens[]): number =>
  examples.reduce((sum, { counts }) => sum + counts.reduce((count, mark) => count + mark, 0), 0);

import { compactError, isCompactError } from '../../../errors.js';
import { ranTooLong, runBounded } from '../../run-bounded.js';
import type { Tokenizer } from '../../types.js';
import { badRecord } from '../kinds/index.js';
import type { Example, MessagesExample, PlacedExample, PreferenceExample } from '../kinds/index.js';
import { placeText } from '../readers/index.js';
import type { RecordPlace } from '../readers/index.js';
import type { ChatTemplate } from '../templates/chat-template.js';
import { anyMark } from '../templates/marks.js';
import { renderLearnt } from './assistant-spans.js';
import type { EncodedRecord, MarkedTokens } from './encoded-record.js';
import { encodeSpans, guardControl } from './token-marks.js';
import type { MarkedIds } from './token-marks.js';

/** How examples become tokens. */
export interface EncodeChoices {
  /** Whether what reads as a control token in the text of a record is text like any other. */
  readonly splitSpecialTokens: boolean;
  /**
   * Whether a start token is put in front, where there is none. Left out: as the tokenizer's files say; conversations begin
   * as their template has them begin.
   */
  readonly addBos?: boolean;
  /** Whether the end of text is put behind a text or a completion, where there is none. */
  readonly addEos: boolean;
  /** Most tokens of a record. Left out: any number. */
  readonly contextLength?: number;
  /** Whether a longer record loses its end, and is not refused. */
  readonly truncate: boolean;
}

/** One text or conversation. */
type SingleExample = Exclude<Example, PreferenceExample>;

/** How long the expressions of a tokenizer may take over one record. */
const longestMs = 10_000;

/** Makes tokens of examples. */
export class ExampleEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #template: ChatTemplate | undefined;
  readonly #choices: EncodeChoices;

  /** @throws ERR_COMPACT_TOKENIZER where a start token is asked for, and there is none */
  constructor(tokenizer: Tokenizer, template: ChatTemplate | undefined, choices: EncodeChoices) {
    this.#tokenizer = tokenizer;
    this.#template = template;
    this.#choices = choices;
    if (choices.addBos === true && tokenizer.bosTokenId === undefined)
      throw compactError('ERR_COMPACT_TOKENIZER', `the tokenizer ${tokenizer.name} names no start token`, {
        op: 'addBos',
        expected: 'bos_token in tokenizer_config.json',
        remedy: 'Name it there, or leave addBos out',
      });
  }

  /**
   * Tokens of a record.
   * @throws ERR_COMPACT_DATA_RECORD for one that is longer than the context, ERR_COMPACT_TOKENIZER,
   *   ERR_COMPACT_CHAT_TEMPLATE, each with the place
   */
  encode({ place, example }: PlacedExample): EncodedRecord {
    try {
      if (example.kind !== 'preference') {
        const labels = example.kind === 'labels' ? example.labels : undefined;
        return { place, ...this.#cut(place, example), rejected: undefined, labels };
      }
      return this.#pair(place, example);
    } catch (error) {
      throw withPlace(place, error);
    }
  }

  #pair(place: RecordPlace, example: PreferenceExample): EncodedRecord {
    const chosen = this.#cut(place, example.chosen);
    const rejected = this.#cut(place, example.rejected);
    for (const [name, { counts }] of Object.entries({ chosen, rejected }))
      if (!counts.includes(1))
        throw badRecord(place, `has nothing to learn in \`${name}\``, {
          expected: 'an answer that begins within the context',
          remedy: 'Leave the record out, or choose a longer context',
        });
    const isTruncated = chosen.isTruncated || rejected.isTruncated;
    return { place, ...chosen, rejected, labels: undefined, isTruncated };
  }

  /** Within the context. */
  #cut(place: RecordPlace, example: SingleExample): MarkedTokens & { readonly isTruncated: boolean } {
    const { ids, counts } = this.#marked(place, example);
    const { contextLength = Infinity, truncate } = this.#choices;
    if (ids.length > contextLength && !truncate)
      throw badRecord(place, 'is longer than the context', {
        expected: `at most ${contextLength} tokens`,
        received: `${ids.length} tokens`,
        remedy: 'Leave it out, choose a longer context, or say truncate to leave out the end of such records',
      });
    const length = Math.min(ids.length, contextLength);
    return {
      ...marked(ids.slice(0, length), counts.slice(0, length)),
      isTruncated: length < ids.length,
    };
  }

  #marked(place: RecordPlace, example: SingleExample): MarkedIds {
    switch (example.kind) {
      case 'messages':
        return this.#chat(place, example);
      case 'completion': {
        const prompt = this.#encode(example.prompt, false);
        const completion = this.#encode(example.completion, prompt.length > 0);
        return this.#bounded([
          [prompt, 0],
          [completion, 1],
        ]);
      }
      case 'text':
        return this.#bounded([[this.#encode(example.text, false), 1]]);
      default:
        // What is made of a text is read at its start token, so it has one wherever there is one.
        return this.#bounded([[this.#encode(example.text, false), 0]], true);
    }
  }

  #chat(place: RecordPlace, example: MessagesExample): MarkedIds {
    if (this.#template === undefined)
      throw compactError('ERR_COMPACT_CHAT_TEMPLATE', 'messages need a chat template, and there is none', {
        op: 'chat template',
        expected: 'chat_template.jinja beside the tokenizer, or `chat_template` in tokenizer_config.json',
        remedy: 'Put the template of the model there, or write the records as prompt and completion',
      });
    const guarded = this.#guarded(place, example);
    const { text, spans } = renderLearnt(this.#template, guarded, this.#tokenizer);
    const { ids, counts } = this.#timed(() => encodeSpans(this.#tokenizer, text, spans));
    const start = this.#choices.addBos === true ? this.#start(ids) : [];
    return { ids: [...start, ...ids], counts: [...start.map(() => 0), ...counts] };
  }

  /** Texts of the conversation, with guards in what reads as a control token where it is to be text. */
  #guarded(place: RecordPlace, example: MessagesExample): MessagesExample {
    const guardAll = (value: unknown): unknown => {
      if (typeof value === 'string') {
        if (!anyMark.test(value))
          return this.#choices.splitSpecialTokens ? guardControl(this.#tokenizer, value) : value;
        throw badRecord(place, 'holds a noncharacter of Unicode', {
          expected: 'text without U+FDD0, U+FDD1 and U+FDD2, which are not for text',
        });
      }
      if (Array.isArray(value)) return value.map(guardAll);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, guardAll(item)]));
    };
    const { messages, tools } = example;
    return { ...example, ...(guardAll({ messages, tools }) as Pick<MessagesExample, 'messages' | 'tools'>) };
  }

  /** With the start and the end that texts have. */
  #bounded(
    parts: readonly (readonly [ids: readonly number[], counts: 0 | 1])[],
    byDefault = this.#tokenizer.addsBos,
  ): MarkedIds {
    const ids = parts.flatMap(([some]) => some);
    const counts = parts.flatMap(([some, count]) => some.map(() => count));
    const start = (this.#choices.addBos ?? byDefault) ? this.#start(ids) : [];
    const { endOfTextId } = this.#tokenizer;
    const addsEos = this.#choices.addEos && endOfTextId !== undefined && ids.at(-1) !== endOfTextId;
    const end = addsEos ? [endOfTextId] : [];
    const endCounts = parts.at(-1)![1];
    return {
      ids: [...start, ...ids, ...end],
      counts: [...start.map(() => 0), ...counts, ...end.map(() => endCounts)],
    };
  }

  /** The start token, where a text does not begin with it. */
  #start(ids: readonly number[]): readonly number[] {
    const { bosTokenId } = this.#tokenizer;
    return bosTokenId === undefined || ids[0] === bosTokenId ? [] : [bosTokenId];
  }

  #encode(text: string, continues: boolean): readonly number[] {
    const { splitSpecialTokens } = this.#choices;
    return this.#timed(() => Array.from(this.#tokenizer.encode(text, { splitSpecialTokens, continues })));
  }

  /** Expressions of a tokenizer's files may take for ever. */
  #timed<T>(work: () => T): T {
    if (!this.#tokenizer.hasPatterns) return work();
    const result = runBounded(work, longestMs);
    if (result !== ranTooLong) return result;
    throw compactError('ERR_COMPACT_TOKENIZER', `${this.#tokenizer.name} comes to no end with this text`, {
      op: 'tokenizer',
      expected: `its expressions to take at most ${longestMs / 1000} s`,
    });
  }
}

function marked(ids: readonly number[], counts: readonly number[]): MarkedTokens {
  const learnt = Uint8Array.from(counts);
  // Nothing comes before it that it could be told from.
  if (learnt.length > 0) learnt[0] = 0;
  return { ids: Int32Array.from(ids), counts: learnt };
}

/** Errors of the tokenizer and of the template know nothing of records. */
function withPlace(place: RecordPlace, error: unknown): unknown {
  if (!isCompactError(error) || error.code === 'ERR_COMPACT_DATA_RECORD') return error;
  const { code, what, op, expected, received, remedy } = error;
  return compactError(code, `${placeText(place)}: ${what}`, {
    op,
    expected,
    received,
    remedy,
    details: { [place.unit]: place.number },
    cause: error,
  });
}

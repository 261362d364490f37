import type { TextSection } from '../types.js';
import { sectionCutter } from './added-tokens.js';
import { makeDecoder } from './decoders.js';
import { makeModel } from './model.js';
import { makeNormalizer } from './normalizers.js';
import { makePreTokenizer } from './pre-tokenizers.js';
import type { TokenizerConfig } from './schema.js';

export interface EncodeChoices {
  readonly splitSpecialTokens: boolean;
  /** Whether the text goes on from one that was encoded before it. */
  readonly continues: boolean;
}

/** A tokenizer.json at work, id for id what the reference implementation does. */
export interface Pipeline {
  /** Largest id plus one. */
  readonly vocabularySize: number;
  readonly unknownId: number | undefined;
  idOf(token: string): number | undefined;
  encode(text: string, choices: EncodeChoices): number[];
  /** Cuts a text at its control tokens alone. */
  cut(text: string): readonly TextSection[];
  /** Ids of a section of a text, in which there is no control token. */
  encodeSection(section: Pick<TextSection, 'text' | 'start'>): number[];
  controlText(id: number): string | undefined;
  /** Control tokens have no text. */
  decode(ids: readonly number[]): string;
}

/** @throws SyntaxError when parts of the configuration do not fit each other, or cannot be translated */
export function makePipeline(config: TokenizerConfig): Pipeline {
  const normalize = config.normalizer ? makeNormalizer(config.normalizer) : (text: string) => text;
  const preTokenize = config.pre_tokenizer
    ? makePreTokenizer(config.pre_tokenizer)
    : (text: string) => [text];
  const model = makeModel(config.model);
  const added = config.added_tokens;
  const cutText = sectionCutter(
    added.filter(({ normalized }) => !normalized),
    ({ content }) => content,
  );
  const normalizedContent = ({ content }: { readonly content: string }): string => normalize(content, true);
  const cutNormalized = sectionCutter(
    added.filter(({ normalized }) => normalized),
    normalizedContent,
  );
  const idByToken = new Map(model.vocabulary);
  for (const { content, id } of added) {
    const known = idByToken.get(content) ?? id;
    if (known !== id) throw new SyntaxError(`the added token ${content} has the ids ${known} and ${id}`);
    idByToken.set(content, id);
  }
  const tokenById = new Map(Array.from(idByToken, ([token, id]) => [id, token]));
  for (const token of added) if (token.normalized) tokenById.set(token.id, normalizedContent(token));
  const controlTokens = added.filter(({ special }) => special);
  const controlTexts = new Map(controlTokens.map(({ id, content }) => [id, content]));
  const cutControl = sectionCutter(controlTokens, ({ content }) => content);
  const decode = config.decoder ? makeDecoder(config.decoder) : (tokens: string[]) => [tokens.join(' ')];
  /** @param start where the text starts in the one that it is a section of */
  const encodeFrom = (
    text: string,
    start: number,
    { splitSpecialTokens, continues }: EncodeChoices,
  ): number[] => {
    const ids: number[] = [];
    for (const section of cutText(text, splitSpecialTokens)) {
      if (section.id !== undefined) {
        ids.push(section.id);
        continue;
      }
      const sectionStart = start + section.start;
      const isStart = !continues || sectionStart > 0;
      const normalized = normalize(section.text, isStart);
      for (const part of cutNormalized(normalized, splitSpecialTokens)) {
        if (part.id !== undefined) ids.push(part.id);
        else {
          const place = {
            isStart: isStart || part.start > 0,
            isFirst: sectionStart === 0 && part.start === 0,
          };
          for (const piece of preTokenize(part.text, place))
            if (piece !== '') for (const id of model.encode(piece)) ids.push(id);
        }
      }
    }
    return ids;
  };
  return {
    vocabularySize: [...tokenById.keys()].reduce((largest, id) => Math.max(largest, id), -1) + 1,
    unknownId: model.unknownId,
    idOf: (token) => idByToken.get(token),
    encode: (text, choices) => encodeFrom(text, 0, choices),
    cut: (text) => cutControl(text, false),
    encodeSection: ({ text, start }) =>
      encodeFrom(text, start, { splitSpecialTokens: true, continues: false }),
    controlText: (id) => controlTexts.get(id),
    decode(ids) {
      const tokens = ids
        .filter((id) => !controlTexts.has(id))
        .map((id) => tokenById.get(id))
        .filter((token) => token !== undefined);
      return decode(tokens).join('');
    },
  };
}

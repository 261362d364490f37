import type { Tokenizer } from './types.js';

/**
 * The text of tokens as they come, behind a context. Each piece is final: all pieces together are the text. It is found
 * by what a token adds to the decoded text of a short stretch before it, since many tokenizers drop the space in front
 * of a text's first word; and a character that needs several tokens is told when it is whole.
 */
export class TextStream {
  readonly #tokenizer: Pick<Tokenizer, 'decode'>;
  readonly #ids: number[];
  /** Where the stretch begins that is decoded anew; it ends where the told text does. */
  #contextStart = 0;
  #toldEnd: number;

  constructor(tokenizer: Pick<Tokenizer, 'decode'>, context: readonly number[] = []) {
    this.#tokenizer = tokenizer;
    this.#ids = [...context];
    this.#toldEnd = context.length;
  }

  /** The text that is whole now; empty in the middle of a character. */
  push(id: number): string {
    this.#ids.push(id);
    return this.#take(false);
  }

  /** What is left, where the last character is not whole. */
  end(): string {
    return this.#take(true);
  }

  #take(isEnd: boolean): string {
    const told = this.#tokenizer.decode(this.#ids.slice(this.#contextStart, this.#toldEnd));
    const now = this.#tokenizer.decode(this.#ids.slice(this.#contextStart));
    // Bytes that turn out not to be UTF-8 may change what stood before them: then they are decoded alone.
    const text = now.startsWith(told)
      ? now.slice(told.length)
      : this.#tokenizer.decode(this.#ids.slice(this.#toldEnd));
    if (text === '' || (text.endsWith('\uFFFD') && !isEnd)) return '';
    this.#contextStart = this.#toldEnd;
    this.#toldEnd = this.#ids.length;
    return text;
  }
}

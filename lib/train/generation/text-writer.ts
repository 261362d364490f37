import { TextStream } from '../../data/index.js';
import type { SampleReport } from '../options/types.js';
import { drawToken, uniformNumbers, type CheckedSampleOptions } from './draw-token.js';
import { fittingPromptIds } from './prompt-ids.js';
import { StopStrings } from './stop-strings.js';
import type { TextModel } from './text-model.js';

/** One text as it is written: draws a token after the other, and says which of its text is final. */
export class TextWriter {
  /** Of prompt and continuation. */
  readonly ids: number[];
  readonly #model: TextModel;
  readonly #options: CheckedSampleOptions;
  readonly #numPromptTokens: number;
  readonly #uniform: () => number;
  readonly #stream: TextStream;
  readonly #stop: StopStrings;
  readonly #start = performance.now();
  #endedAt: number | undefined;
  #text = '';
  #finishReason: SampleReport['finishReason'] | undefined;

  /** @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_TOKENIZER, ERR_COMPACT_CHAT_TEMPLATE for a prompt that cannot be gone on from */
  constructor(model: TextModel, options: CheckedSampleOptions) {
    this.#model = model;
    this.#options = options;
    this.ids = fittingPromptIds(model, options);
    this.#numPromptTokens = this.ids.length;
    this.#uniform = uniformNumbers(options.seed);
    this.#stream = new TextStream(model.tokenizer, this.ids);
    this.#stop = new StopStrings(options.stop);
    this.#endWhereFull();
  }

  get isDone(): boolean {
    return this.#finishReason !== undefined;
  }

  /**
   * Draws the next token; returns the text that is final now.
   * @param logits (vocabulary); rows that the tokenizer has no text for are left out
   */
  take(logits: Float32Array): string {
    const { tokenizer, endIds } = this.#model;
    const id = drawToken(logits.subarray(0, tokenizer.vocabularySize), this.#options, this.#uniform());
    if (endIds.has(id)) {
      this.#finishReason = 'endOfText';
      return this.#tell('');
    }
    this.ids.push(id);
    const piece = this.#stream.push(id);
    this.#endWhereFull();
    return this.#tell(piece);
  }

  report(): SampleReport {
    const numTokens = this.ids.length - this.#numPromptTokens;
    const seconds = ((this.#endedAt ?? performance.now()) - this.#start) / 1000;
    return {
      prompt: this.#options.prompt ?? '',
      text: this.#text,
      numTokens,
      tokensPerSecond: numTokens / Math.max(1e-9, seconds),
      finishReason: this.#finishReason!,
    };
  }

  #endWhereFull(): void {
    if (this.ids.length - this.#numPromptTokens >= this.#options.maxNewTokens) this.#finishReason = 'length';
    else if (this.ids.length >= this.#model.contextLength) this.#finishReason = 'contextLength';
  }

  #tell(piece: string): string {
    let text = this.#stop.push(piece);
    if (this.isDone) text += this.#stop.push(this.#stream.end()) + this.#stop.end();
    if (this.#stop.isStopped) this.#finishReason = 'stop';
    if (this.isDone) this.#endedAt = performance.now();
    this.#text += text;
    return text;
  }
}

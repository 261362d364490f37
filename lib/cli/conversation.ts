import type { SampleMessage, Sampler } from '../train/index.js';

/** The messages of a conversation, as many of the latest as the context has room for. */
export class Conversation {
  readonly #sampler: Pick<Sampler, 'countPromptTokens' | 'contextLength'>;
  readonly #system: readonly SampleMessage[];
  readonly #maxNewTokens: number;
  #turns: SampleMessage[] = [];

  constructor(
    sampler: Pick<Sampler, 'countPromptTokens' | 'contextLength'>,
    { system, maxNewTokens }: { readonly system?: string | undefined; readonly maxNewTokens: number },
  ) {
    this.#sampler = sampler;
    this.#system = system === undefined ? [] : [{ role: 'system', content: system }];
    this.#maxNewTokens = maxNewTokens;
  }

  get messages(): readonly SampleMessage[] {
    return [...this.#system, ...this.#turns];
  }

  /**
   * Adds what the user says, and leaves out the oldest messages until there is room for an answer: for all that it may be
   * long, or a quarter of the context where that is less.
   * @returns how many were left out
   */
  add(content: string): number {
    this.#turns.push({ role: 'user', content });
    const { contextLength } = this.#sampler;
    const room = contextLength - Math.min(this.#maxNewTokens, Math.floor(contextLength / 4));
    const before = this.#turns.length;
    // Turns are dropped in pairs, for templates ask for roles that take turns. The latest is always asked.
    while (this.#turns.length > 1 && !this.#fits(room)) this.#turns.splice(0, 2);
    return before - this.#turns.length;
  }

  /** Adds the answer; without one the question is forgotten. */
  answered(content: string | undefined): void {
    if (content === undefined) this.#turns.pop();
    else this.#turns.push({ role: 'assistant', content });
  }

  reset(): void {
    this.#turns = [];
  }

  #fits(room: number): boolean {
    return this.#sampler.countPromptTokens({ messages: this.messages }) <= room;
  }
}

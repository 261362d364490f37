import { compactError } from '../../../errors.js';
import { shown } from '../../../options.js';

/** The parts of tokenizer.json that a file of GGUF tells; the rest was checked when it was loaded. */
export interface TokenizerJson {
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special: boolean;
  }[];
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly model: {
    readonly type?: string;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
    readonly byte_fallback?: boolean | null;
    readonly unk_token?: string | null;
  };
}

/** The error of a part that llama.cpp has no name for: it would make other tokens of the same text. */
export const unknownTokenizer = (part: string, expected: string, received: unknown): Error =>
  compactError('ERR_COMPACT_TOKENIZER', `llama.cpp has no name for the ${part} of this tokenizer`, {
    op: `tokenizer.${part}`,
    expected,
    received: shown(received),
    remedy: 'Export the model as safetensors',
  });

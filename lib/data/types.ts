/** Where text comes from. Files are UTF-8; `.jsonl`, `.ndjson` and `.json` hold one `{"text": ...}` object a line. */
export interface DataOptions {
  /**
   * Files or folders (all `.txt`, `.jsonl` and `.ndjson` below them but in `node_modules` and behind a dot), or the name
   * of a packaged corpus: 'addresses' (1 MB).
   */
  readonly train: 'addresses' | (string & {}) | readonly string[];
  /** Held-out files. Absent: the tail of the training text, `validationFraction` of it. */
  readonly validation?: string | readonly string[];
  /** Share of the training text held out when `validation` is absent; 0 holds nothing out. Default 0.05. */
  readonly validationFraction?: number;
  /** 'bytes' (257 ids: 256 bytes and an end of text), a tokenizer.json, or a folder that holds one. Default 'bytes'. */
  readonly tokenizer?: 'bytes' | (string & {});
  /** Key that holds the text of a line of JSON lines. Default 'text'. */
  readonly textField?: string;
  /**
   * Whether the text of a control token, e.g. `</s>` or `<|endoftext|>`, is text like any other; false makes it the
   * control token. Default true.
   */
  readonly splitSpecialTokens?: boolean;
  /** Folder of the tokenised text; default `data` in the output folder, or a temporary one removed at close. */
  readonly cacheDirectory?: string;
}

/** How a text is taken apart. */
export interface EncodeOptions {
  /**
   * Whether the text of a control token, e.g. `</s>` or `<|endoftext|>`, is text like any other; false makes it the
   * control token. Default true.
   */
  readonly splitSpecialTokens?: boolean;
  /** Whether the text goes on from text before it, and so gets no space in front. Default false. */
  readonly continues?: boolean;
}

/** A part of a text: one control token, or the text between two. */
export interface TextSection {
  readonly text: string;
  /** Where it starts in the text: many tokenizers treat the start of a text in another way. */
  readonly start: number;
  /** Of the control token; undefined for text. */
  readonly id: number | undefined;
}

/** Text to ids and back. */
export interface Tokenizer {
  readonly name: string;
  /** Largest id plus one. */
  readonly vocabularySize: number;
  /** Written between documents; undefined when the tokenizer has none. */
  readonly endOfTextId: number | undefined;
  /** Stands for text without a token of its own; undefined when there is no such token. */
  readonly unknownId: number | undefined;
  /** What the tokenizer's files name as start (or for BERT as the token of classification) and padding. */
  readonly bosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  /** Stands for a token that is to be predicted. */
  readonly maskTokenId: number | undefined;
  /** Whether its files say that a text begins with the start token. */
  readonly addsBos: boolean;
  /** Whether it runs regular expressions of its files, which may take for ever: they are run where they can be stopped. */
  readonly hasPatterns: boolean;
  /** Ids of a text, without control tokens around it. */
  encode(text: string, options?: EncodeOptions): ArrayLike<number>;
  /** Cuts a text at what reads as a control token. */
  cut(text: string): readonly TextSection[];
  /** Ids of a section that is text, as they stand in the whole text; control tokens in it are text like any other. */
  encodeSection(section: Pick<TextSection, 'text' | 'start'>): ArrayLike<number>;
  /** The text of a control token, e.g. `</s>`; undefined for every other id. */
  controlText(id: number): string | undefined;
  /**
   * The text of ids that begin a text: control tokens have none, no space is tidied away, what is not UTF-8 is U+FFFD.
   * Many tokenizers drop the space before the first word, and a character may need several tokens, so the text of a
   * continuation is not `decode(ids)` but what `ids` add behind their context; see TextStream.
   */
  decode(ids: readonly number[]): string;
  /** The files that rebuild it, by name, for checkpoints, as training used it: no control tokens around a text. */
  files(): Readonly<Record<string, string>>;
}

/** What a model reads in one run, by name. */
export interface Batch {
  /**
   * The fields that a model reads, flattened. Of packed sequences of text, `count` of them: `tokens` (count, sequenceLength), the ids, and `targets`
   * (count, sequenceLength), the ids that should follow them; `ignoreIndex` where nothing is to be predicted. Of labelled
   * sequences `labels` (count): classes, or numbers, NaN where there is none.
   */
  readonly inputs: Readonly<Record<string, Int32Array | Uint8Array | Float32Array>>;
  /** Targets, or labels of sequences, that are not `ignoreIndex` or NaN; of preference pairs their number. */
  readonly numCountedTokens: number;
}

/** Targets of this value count for nothing in a loss. */
export const ignoreIndex = -100;

/*
 * What a record says, once its fields were found to be in order: one shape for each kind of training data.
 */

/** A text, all of which is learnt. */
export interface TextExample {
  readonly kind: 'text';
  readonly text: string;
}

/** A prompt, and the continuation that is learnt. */
export interface CompletionExample {
  readonly kind: 'completion';
  readonly prompt: string;
  readonly completion: string;
}

/** A conversation, of which the assistant's messages are learnt. */
export interface MessagesExample {
  readonly kind: 'messages';
  readonly messages: readonly ChatMessage[];
  /** Functions that the assistant may call, as JSON schemas. */
  readonly tools: readonly ChatTool[] | undefined;
}

/**
 * A text, and the numbers of the classes that it belongs to: one, or any number where `isMultiLabel`. Of a regression the one
 * number that is to be predicted.
 */
export interface LabelsExample {
  readonly kind: 'labels';
  readonly text: string;
  readonly labels: readonly number[];
  readonly isMultiLabel: boolean;
}

/** A better and a worse answer to one prompt, each behind that prompt. */
export interface PreferenceExample {
  readonly kind: 'preference';
  readonly chosen: CompletionExample | MessagesExample;
  readonly rejected: CompletionExample | MessagesExample;
}

export type Example = TextExample | CompletionExample | MessagesExample | LabelsExample | PreferenceExample;

export const chatRoles = ['system', 'user', 'assistant', 'tool'] as const;
export type ChatRole = (typeof chatRoles)[number];

/** A message as chat templates take it. */
export interface ChatMessage {
  readonly role: ChatRole;
  /** Parts of text were joined; null where an assistant only calls tools. */
  readonly content: string | null;
  /** Calls of functions, their arguments as an object. */
  readonly tool_calls?: readonly ChatToolCall[];
  readonly tool_call_id?: string;
  /** Of an assistant's message: 0 where it is context, and not learnt. Left out: 1. */
  readonly weight?: 0 | 1;
  /** What else the record holds, e.g. `name` or `reasoning_content`: templates may read it. */
  readonly [key: string]: unknown;
}

export interface ChatToolCall {
  readonly id?: string;
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly arguments: Readonly<Record<string, unknown>>;
  };
}

export interface ChatTool {
  readonly type: 'function';
  readonly function: { readonly name: string; readonly [key: string]: unknown };
}

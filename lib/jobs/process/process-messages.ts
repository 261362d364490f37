import type { PlainError } from './plain-error.js';

/** What a parent sends: the input once, and the request to come to an end. */
export type ParentMessage = { readonly type: 'input'; readonly input: unknown } | { readonly type: 'stop' };

/** What a child sends: messages of its task, then what came of it. */
export type ChildMessage =
  | { readonly type: 'message'; readonly message: unknown }
  | { readonly type: 'outcome'; readonly outcome: unknown }
  | { readonly type: 'error'; readonly error: PlainError };

import type { Plan } from '../../compile/index.js';
import type { Tokenizer } from '../../data/index.js';
import type { ChatTemplate } from '../../data/records/index.js';
import { compactError } from '../../errors.js';
import type { Model } from '../../graph/index.js';
import type { Engine } from '../../runtime/index.js';

/** What writes text: a model in an engine, and how its tokens are text. */
export interface TextModel {
  readonly engine: Pick<Engine, 'run'>;
  readonly plan: Pick<Plan, 'entries' | 'values'>;
  readonly tokenizer: Tokenizer;
  /** Tokens of prompt and continuation at most. */
  readonly contextLength: number;
  /** Tokens that end a text; none of them is part of it. */
  readonly endIds: ReadonlySet<number>;
  /** Whether every text begins with the start token, as those did that the model was trained on. */
  readonly addsBos: boolean;
  readonly chatTemplate: ChatTemplate | undefined;
}

/** How a tokenizer's texts begin and end where nothing else says so: as documents in training here. */
export const plainText = ({
  endOfTextId,
}: Tokenizer): Pick<TextModel, 'endIds' | 'addsBos' | 'chatTemplate'> => ({
  endIds: new Set(endOfTextId === undefined ? [] : [endOfTextId]),
  addsBos: false,
  chatTemplate: undefined,
});

/** @throws ERR_COMPACT_ARGUMENT for a model that cannot go on from a text */
export function checkGenerates({ name, isCausal }: Pick<Model, 'name' | 'isCausal'>): void {
  if (isCausal === true) return;
  throw compactError('ERR_COMPACT_ARGUMENT', `${name} does not write text`, {
    op: 'model',
    expected: 'a causal model, whose tokens see those before them alone',
    received: name,
  });
}

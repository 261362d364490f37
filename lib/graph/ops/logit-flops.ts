import type { Node } from '../node.js';
import { firstInputElements } from './checks.js';

/** The product that gives logits, x (tokens, hidden) times weight (vocabulary, hidden) transposed: 2 tokens hidden vocabulary. */
export const logitFlops = ({ inputs }: Pick<Node, 'inputs'>): number =>
  2 * firstInputElements({ inputs }) * inputs[1]!.shape[0]!;

import type { OpDefinition } from '../op.js';
import * as ops from './index.js';

const isDefinition = (exported: unknown): exported is OpDefinition =>
  typeof exported === 'object' && exported !== null && 'operands' in exported;

/** Every op that graphs may use, by name. */
export const opDefinitions: ReadonlyMap<string, OpDefinition> = new Map(
  Object.values(ops)
    .filter(isDefinition)
    .map((definition) => [definition.name, definition]),
);

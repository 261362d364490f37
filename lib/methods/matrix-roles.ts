import * as v from 'valibot';
import { oneOf, optional } from '../options.js';

/** Roles of the matrices of attention and of the MLP: of all weights but embeddings, head, norms and biases. */
export const matrixRoles = ['query', 'key', 'value', 'output', 'gate', 'up', 'down'] as const;
/** One of `matrixRoles`. */
export type MatrixRole = (typeof matrixRoles)[number];

const some = `some of ${matrixRoles.join(', ')}`;

/** The row of an option that names some of them. Default: all. */
export const matrixRolesRow = optional(v.pipe(v.array(oneOf(matrixRoles), some), v.nonEmpty(some)), () => [
  ...matrixRoles,
]);

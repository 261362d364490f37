/** Roles of the matrices of attention and of the MLP: of all weights but embeddings, head, norms and biases. */
export const matrixRoles = ['query', 'key', 'value', 'output', 'gate', 'up', 'down'] as const;
/** One of `matrixRoles`. */
export type MatrixRole = (typeof matrixRoles)[number];

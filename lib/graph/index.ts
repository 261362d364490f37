export * from './graph.js';
export * from './model.js';
export * from './node.js';
export * from './op.js';
export * from './program.js';
export * from './seed.js';
export * from './value.js';
export * from './ops/index.js';

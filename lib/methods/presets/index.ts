// Every preset with its options, one line each: the values that this file exports are the methods that there are.
export * from './adalomo.js';
export * from './badam.js';
export * from './compact.js';
export * from './dense.js';
export * from './dora.js';
export * from './fira.js';
export * from './flora.js';
export * from './galore.js';
export * from './ldadam.js';
export * from './lomo.js';
export * from './lora.js';
export * from './lora-fa.js';
export * from './mesa.js';
export * from './qlora.js';
export * from './relora.js';
export * from './rso.js';

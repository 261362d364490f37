// Every preset, one line each: what this file exports is what methods are named by.
export { adalomo } from './adalomo.js';
export { compact } from './compact.js';
export { dense } from './dense.js';
export { galore } from './galore.js';
export { lora } from './lora.js';
export { loraFa } from './lora-fa.js';
export { mesa } from './mesa.js';
export { qlora } from './qlora.js';
export { relora } from './relora.js';

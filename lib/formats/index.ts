export { isTemporaryName, sync, writeAtomically } from './atomic-write.js';
export { removeEmptyFolders } from './remove-empty-folders.js';
export { SafetensorsFile, writeSafetensors } from './safetensors.js';
export type { TensorSource } from './safetensors.js';
export type { TensorEntry } from './safetensors-header.js';

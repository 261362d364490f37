export { removeAtomically, writeFileAtomically, writeFolderAtomically } from './atomic-write.js';
export { fileError, onPath, systemCode } from './file-error.js';
export { closeQuietly, openRegular, readFully, withFile, writeFully, writeNewFile } from './files.js';
export { makeFolders } from './make-folders.js';
export { removeEmptyFolders } from './remove-empty-folders.js';
export { SafetensorsFile, writeSafetensors } from './safetensors.js';
export type { TensorSource } from './safetensors.js';
export type { TensorEntry } from './safetensors-header.js';
export { isTemporaryName, makeTemporaryFolder, removeLeftovers } from './temporaries.js';

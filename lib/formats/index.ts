export { AppendFile } from './append-file.js';
export { removeAtomically, writeFileAtomically, writeFolderAtomically } from './atomic-write.js';
export { scalarsRecord, sessionStartRecord, versionRecord } from './event-records.js';
export { fileError, onPath, systemCode } from './file-error.js';
export {
  closeQuietly,
  openRegular,
  readFully,
  syncFolder,
  withFile,
  writeFully,
  writeNewFile,
} from './files.js';
export { makeFolders } from './make-folders.js';
export { removeEmptyFolders } from './remove-empty-folders.js';
export type { FileDType } from './file-dtype.js';
export { convertNumbers, floatBytes, isFloat, toSingles } from './numbers.js';
export type { FloatDType } from './numbers.js';
export { isPickle, refusedPickle } from './pickle-files.js';
export { ggmlTypes, type GgmlType, type GgufTensor, type GgufValue, writeGguf } from './gguf.js';
export { SafetensorsFile, writeSafetensors } from './safetensors.js';
export type { TensorReader, TensorSource } from './safetensors.js';
export { indexFileName, openWeights, weightsFileName } from './sharded-safetensors.js';
export type { TensorEntry } from './safetensors-header.js';
export { parseStrictObject } from './strict-json.js';
export { isTemporaryName, makeTemporaryFolder, removeLeftovers, temporaryName } from './temporaries.js';

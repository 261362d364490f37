import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { addon, buildFolder } from './addon.js';
import { findPackagedModule } from './module-package.js';
import type { CudaKind, DeviceProblem } from './types.js';

/** The module of a device kind: its file once it is loaded, else what is wrong. */
export type Module =
  | { readonly path: string }
  | { readonly path?: undefined; readonly reason: DeviceProblem; readonly problem: string };

const fileNames: Readonly<Record<CudaKind, string>> = {
  cuda: 'compact_train_cuda.so',
  // For the tests of this repository; no package holds it.
  'cuda-emulated': 'compact_train_cuda_emulated.so',
};

/** Loads the module of a device kind, from beside the addon of a checkout or from the optional package. */
export function loadModule(kind: CudaKind): Module {
  const found = findModule(kind);
  if (found.path === undefined) return found;
  const { path } = found;
  const wrong = addon().loadModule(kind, path);
  if (wrong === undefined) return { path };
  const { reason, expected, received } = wrong;
  const problem =
    reason === 'module-version'
      ? `${path} is of interface version ${received}, but this compact-train needs version ${expected}`
      : `${path} cannot be loaded: ${received}`;
  return { reason, problem };
}

/** Whether a checkout has built this device kind's module. */
export const hasBuiltModule = (kind: CudaKind): boolean => builtModule(kind) !== undefined;

function findModule(kind: CudaKind): Module {
  const built = builtModule(kind);
  if (built !== undefined) return { path: built };
  const packaged = kind === 'cuda' ? findPackagedModule(fileNames.cuda) : undefined;
  if (packaged !== undefined) return packaged;
  return {
    reason: 'module-absent',
    problem: `there is no ${fileNames[kind]} that was built here, and no package compact-train-cuda-linux-x64`,
  };
}

/** Trusted as the addon beside it is: both were built here. */
function builtModule(kind: CudaKind): string | undefined {
  const folder = buildFolder();
  const path = folder === undefined ? undefined : join(folder, fileNames[kind]);
  return path !== undefined && existsSync(path) ? path : undefined;
}

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { addon, addonFolder } from './addon.js';
import type { CudaKind, DeviceProblem } from './types.js';

/** The module of a device kind: its file once it is loaded, else what is wrong. */
export type Module =
  | { readonly path: string }
  | { readonly path?: undefined; readonly reason: DeviceProblem; readonly problem: string };

const cudaPackage = 'compact-train-cuda-linux-x64';
const fileNames: Readonly<Record<CudaKind, string>> = {
  cuda: 'compact_train_cuda.so',
  // For the tests of this repository; no package holds it.
  'cuda-emulated': 'compact_train_cuda_emulated.so',
};

/** Loads the module of a device kind, from beside the addon or from the optional package. */
export function loadModule(kind: CudaKind): Module {
  const path = findModule(kind);
  if (path === undefined)
    return {
      reason: 'module-absent',
      problem: `there is no ${fileNames[kind]} beside the addon, and no package ${cudaPackage}`,
    };
  const wrong = addon().loadModule(kind, path);
  if (wrong === undefined) return { path };
  const { reason, expected, received } = wrong;
  const problem =
    reason === 'module-version'
      ? `${path} is of interface version ${received}, but this compact-train needs version ${expected}`
      : `${path} cannot be loaded: ${received}`;
  return { reason, problem };
}

/** Whether there is a file of this device kind's module. */
export const hasModule = (kind: CudaKind): boolean => findModule(kind) !== undefined;

function findModule(kind: CudaKind): string | undefined {
  const folders = [addonFolder()];
  const packaged = kind === 'cuda' ? packageFolder() : undefined;
  if (packaged !== undefined) folders.push(packaged);
  return folders.map((folder) => join(folder, fileNames[kind])).find((path) => existsSync(path));
}

function packageFolder(): string | undefined {
  try {
    return dirname(require.resolve(`${cudaPackage}/package.json`));
  } catch {
    return undefined;
  }
}

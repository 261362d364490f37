import type { Target } from '../compile/index.js';
import { checkValue, oneOf } from '../options.js';
import { addon } from './addon.js';
import { unavailable } from './device.js';
import { loadModule } from './modules.js';
import { calling } from './native-error.js';
import type { CudaKind } from './types.js';

/**
 * NVIDIA GPUs as a target of the compiler. It needs the CUDA module but no GPU: workspaces depend on shapes alone, so
 * a plan is the same for every GPU.
 * @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_DEVICE_UNAVAILABLE when there is no module of this package's version
 */
export function cudaTarget(kind: CudaKind = 'cuda'): Target {
  checkValue(kind, oneOf(['cuda', 'cuda-emulated']), 'kind', 'ERR_COMPACT_ARGUMENT');
  const module = loadModule(kind);
  if (module.path === undefined) throw unavailable(kind, module.reason, module.problem);
  const ops = addon().ops(kind);
  const opsWith = (property: 'isPrepared' | 'isGrouped'): ReadonlySet<string> =>
    new Set(ops.filter((op) => op[property]).map(({ name }) => name));
  return {
    device: kind,
    preparedOps: opsWith('isPrepared'),
    groupedOps: opsWith('isGrouped'),
    workspaceBytes: ({ op, inputs, outputs, attributes }) =>
      calling(() => addon().workspaceBytes(kind, op, inputs, outputs, attributes, 1)),
  };
}

import type { Target } from '../compile/index.js';
import { addon } from './addon.js';
import { unavailable } from './device.js';
import { loadModule } from './modules.js';
import { calling } from './native-error.js';
import type { CudaKind } from './types.js';

/** Ops that make P beside the instruction before them: those whose kernels have `prepare` (cuda/side_stream.h). */
const preparedOps: ReadonlySet<string> = new Set(['project', 'projectBackUpdate']);

/**
 * NVIDIA GPUs as a target of the compiler. It needs the CUDA module but no GPU: workspaces depend on shapes alone, so
 * a plan is the same for every GPU.
 * @throws ERR_COMPACT_DEVICE_UNAVAILABLE when there is no module of this package's version
 */
export function cudaTarget(kind: CudaKind = 'cuda'): Target {
  const module = loadModule(kind);
  if (module.path === undefined) throw unavailable(kind, module.reason, module.problem);
  return {
    device: kind,
    preparedOps,
    workspaceBytes: ({ op, inputs, outputs, attributes }) =>
      calling(() => addon().workspaceBytes(kind, op, inputs, outputs, attributes, 1)),
  };
}

import type { Target } from './options.js';

/** A target that asks for the workspace of equal calls once: most layers of a model are alike. */
export function cachedTarget(target: Target): Target {
  const known = new Map<string, number>();
  return {
    device: target.device,
    workspaceBytes(call) {
      const operands = [...call.inputs, undefined, ...call.outputs]
        .map((tensor) => (tensor === undefined ? '-' : `${tensor.dtype}[${tensor.shape.join()}]`))
        .join();
      // Which tensor it is cannot change what a kernel needs.
      const attributes = JSON.stringify({ ...call.attributes, tensorId: 0, index: 0 });
      const key = `${call.op}|${operands}|${attributes}`;
      let bytes = known.get(key);
      if (bytes === undefined) known.set(key, (bytes = target.workspaceBytes(call)));
      return bytes;
    },
  };
}

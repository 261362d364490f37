/** All twins by the name of their op: all that the files of twins export. */
import * as activations from './activations.js';
import * as attention from './attention.js';
import * as cachedAttention from './cached-attention.js';
import * as channels from './channels.js';
import * as crossEntropy from './cross-entropy.js';
import * as dropout from './dropout.js';
import * as elementwise from './elementwise.js';
import * as embedding from './embedding.js';
import * as matmul from './matmul.js';
import * as norm from './norm.js';
import * as optimizers from './optimizers.js';
import * as orthonormalize from './orthonormalize.js';
import * as plumbing from './plumbing.js';
import * as project from './project.js';
import * as quantize from './quantize.js';
import * as rope from './rope.js';
import { exact, type Inputs, type Numbers, type Outputs, type Round, type Twin } from './tensor.js';

const twins: Readonly<Record<string, Twin>> = {
  ...activations,
  ...attention,
  ...cachedAttention,
  ...channels,
  ...crossEntropy,
  ...dropout,
  ...elementwise,
  ...embedding,
  ...matmul,
  ...norm,
  ...optimizers,
  ...orthonormalize,
  ...plumbing,
  ...project,
  ...quantize,
  ...rope,
};

/** The outputs of one op by name, in double precision or, with Math.fround, as a naive fp32 loop gives them. */
export function computeTwin(
  op: string,
  inputs: Inputs,
  attributes: Numbers,
  round: Round = exact,
  store: Round = round,
): Outputs {
  return twins[op]!(inputs as never, attributes as never, round, store);
}

export const twinNames = Object.keys(twins);
export * from './tensor.js';

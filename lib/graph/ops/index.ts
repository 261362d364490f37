import type { OpDefinition } from '../op.js';
import { adamDirectionOp, adamWOp } from './adam.js';
import { addOp } from './add.js';
import { addRmsNormOp } from './add-rms-norm.js';
import { attentionOp, attentionBackwardOp } from './attention.js';
import { biasOp, columnSumOp } from './bias.js';
import { castOp } from './cast.js';
import { copyOp } from './copy.js';
import { crossEntropyOp, crossEntropyBackwardOp } from './cross-entropy.js';
import { dropoutOp } from './dropout.js';
import { embeddingOp, embeddingBackwardOp } from './embedding.js';
import { fillOp } from './fill.js';
import { geluOp, geluBackwardOp } from './gelu.js';
import { sumOfSquaresOp, gradientNormOp } from './gradient-norm.js';
import { layerNormOp, layerNormBackwardOp } from './layer-norm.js';
import { linearCrossEntropyOp, linearCrossEntropyBackwardOp } from './linear-cross-entropy.js';
import { matmulOp } from './matmul.js';
import { multiplyOp } from './multiply.js';
import { projectOp, projectBackUpdateOp, projectTransferOp } from './project.js';
import { quantizeOp, dequantizeOp } from './quantize.js';
import { randomNormalOp } from './random-normal.js';
import { rmsNormOp, rmsNormBackwardOp } from './rms-norm.js';
import { ropeOp } from './rope.js';
import { scaleOp } from './scale.js';
import { selectRowOp } from './select-row.js';
import { sgdOp } from './sgd.js';
import { siluOp, siluBackwardOp } from './silu.js';
import { swigluOp, swigluBackwardOp } from './swiglu.js';

export * from './adam.js';
export * from './add.js';
export * from './add-rms-norm.js';
export * from './attention.js';
export * from './bias.js';
export * from './cast.js';
export * from './copy.js';
export * from './cross-entropy.js';
export * from './dropout.js';
export * from './embedding.js';
export * from './fill.js';
export * from './gelu.js';
export * from './gradient-norm.js';
export * from './layer-norm.js';
export * from './linear-cross-entropy.js';
export * from './matmul.js';
export * from './multiply.js';
export * from './project.js';
export * from './quantize.js';
export * from './random-normal.js';
export * from './rms-norm.js';
export * from './rope.js';
export * from './scale.js';
export * from './select-row.js';
export * from './sgd.js';
export * from './silu.js';
export * from './swiglu.js';

/** Every op that graphs may use, by name. */
export const opDefinitions: ReadonlyMap<string, OpDefinition> = new Map(
  [
    adamDirectionOp,
    adamWOp,
    addOp,
    addRmsNormOp,
    attentionOp,
    attentionBackwardOp,
    biasOp,
    columnSumOp,
    castOp,
    copyOp,
    crossEntropyOp,
    crossEntropyBackwardOp,
    dropoutOp,
    embeddingOp,
    embeddingBackwardOp,
    fillOp,
    geluOp,
    geluBackwardOp,
    sumOfSquaresOp,
    gradientNormOp,
    layerNormOp,
    layerNormBackwardOp,
    linearCrossEntropyOp,
    linearCrossEntropyBackwardOp,
    matmulOp,
    multiplyOp,
    projectOp,
    projectBackUpdateOp,
    projectTransferOp,
    quantizeOp,
    dequantizeOp,
    randomNormalOp,
    rmsNormOp,
    rmsNormBackwardOp,
    ropeOp,
    scaleOp,
    selectRowOp,
    sgdOp,
    siluOp,
    siluBackwardOp,
    swigluOp,
    swigluBackwardOp,
  ].map((definition) => [definition.name, definition]),
);

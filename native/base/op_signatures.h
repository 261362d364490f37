// Every op of the package, in one table: names, operands, dtypes, shapes, attributes.
//
// The engine checks each instruction of a plan against this table before anything runs, for every
// backend; TypeScript reads it through the addon. docs/operations.md states what each op computes.
//
// Operands:  name[?]:dtype[dims] ... -> name:dtype[dims] ...
//   ?       the input may be absent
//   dtype   f32 i32 u8 i8, or a capital letter: one dtype (f32 or bf16) per letter and instruction
//   dims    lower-case letters, equal letters are equal sizes; a number is that size; * any size
//           [#e] any shape of e elements in total
//   An output written as `=name` is the input of that name, updated in place: it must be the same
//   memory as that input. `=name[attribute]` updates only the element of that number. An output
//   `c=accumulator:C[m,n]` must be the same memory as the optional input `accumulator` when that is
//   present, and is a plain output otherwise.
// Attributes: name or name=default. Every attribute may be a constant or a runtime scalar.
#pragma once

namespace compact {

struct OpSignature {
    const char* name;
    const char* operands;
    const char* attributes;
};

inline constexpr OpSignature kOpSignatures[] = {
    // Products.
    {"matmul",
     "a:T[*,*] b:T[*,*] accumulator?:C[m,n] squares?:f32[p] -> "
     "c=accumulator:C[m,n] =squares[squaresIndex]",
     "transposeA=0 transposeB=0 alpha=1 accumulate=0 squaresIndex=0"},
    {"project", "x:T[n,k] -> z:T[n,r]", "seedLow seedHigh tensorId epoch distribution=0"},
    {"projectBackUpdate", "weight:W[n,m] direction:D[r,m] -> =weight",
     "seedLow seedHigh tensorId epoch distribution=0 learningRate updateScale=1 weightDecay=0 "
     "stochasticRounding=0 roundingSeed=0 step=0"},
    {"projectTransfer", "moment:S[r,m] -> =moment",
     "rows seedLow seedHigh tensorId oldEpoch newEpoch distribution=0"},
    // Layers.
    {"embedding", "table:T[v,h] ids:i32[n] -> y:T[n,h]", ""},
    {"embeddingBackward", "ids:i32[n] dy:T[n,h] accumulator?:G[v,h] -> dTable=accumulator:G[v,h]",
     "accumulate=0"},
    {"rmsNorm", "x:T[n,h] weight:T[h] -> y:T[n,h] rstd:f32[n]", "epsilon"},
    {"addRmsNorm", "a:T[n,h] b:T[n,h] weight:T[h] -> sum:T[n,h] y:T[n,h] rstd:f32[n]", "epsilon"},
    {"rmsNormBackward",
     "x:T[n,h] weight:T[h] rstd:f32[n] dy:T[n,h] residualGradient?:T[n,h] accumulator?:G[h] -> "
     "dx:T[n,h] dWeight=accumulator:G[h]",
     "accumulate=0"},
    {"layerNorm", "x:T[n,h] weight:T[h] bias:T[h] -> y:T[n,h] mean:f32[n] rstd:f32[n]", "epsilon"},
    {"layerNormBackward",
     "x:T[n,h] weight:T[h] mean:f32[n] rstd:f32[n] dy:T[n,h] accumulator?:G[h] "
     "biasAccumulator?:G[h] -> dx:T[n,h] dWeight=accumulator:G[h] dBias=biasAccumulator:G[h]",
     "accumulate=0"},
    {"rope", "x:T[n,w] cos:f32[s,d] sin:f32[s,d] -> y:T[n,w]", "headSize inverse=0"},
    {"attention", "q:T[n,w] k:T[n,u] v:T[n,u] mask?:u8[n] -> o:T[n,w] lse:f32[n,a]",
     "sequenceLength headSize causal=1 scale"},
    {"attentionBackward",
     "q:T[n,w] k:T[n,u] v:T[n,u] o:T[n,w] lse:f32[n,a] dO:T[n,w] mask?:u8[n] -> "
     "dq:T[n,w] dk:T[n,u] dv:T[n,u]",
     "sequenceLength headSize causal=1 scale"},
    {"swiglu", "gate:T[#e] up:T[#e] -> y:T[#e]", ""},
    {"swigluBackward", "gate:T[#e] up:T[#e] dy:T[#e] -> dGate:T[#e] dUp:T[#e]", ""},
    {"silu", "x:T[#e] -> y:T[#e]", ""},
    {"siluBackward", "x:T[#e] dy:T[#e] -> dx:T[#e]", ""},
    {"gelu", "x:T[#e] -> y:T[#e]", "approximate=0"},
    {"geluBackward", "x:T[#e] dy:T[#e] -> dx:T[#e]", "approximate=0"},
    {"add", "a:T[#e] b:T[#e] -> y:T[#e]", ""},
    {"multiply", "a:T[#e] b:T[#e] -> y:T[#e]", ""},
    {"scale", "x:T[#e] -> y:T[#e]", "factor"},
    {"bias", "x:T[n,m] bias:T[m] -> y:T[n,m]", ""},
    {"columnSum", "x:T[n,m] accumulator?:G[m] -> y=accumulator:G[m]", "accumulate=0"},
    {"dropout", "x:T[#e] -> y:T[#e]", "probability seedLow seedHigh tensorId step"},
    {"selectRow", "x:T[n,h] -> y:T[1,h]", "row"},
    // Losses.
    {"linearCrossEntropy", "x:T[n,h] weight:T[*,*] targets:i32[n] -> loss:f32[1]",
     "transposeWeight=0 lossScale=1 ignoreIndex=-100 chunkTokens=1024"},
    {"linearCrossEntropyBackward",
     "x:T[n,h] weight:T[*,*] targets:i32[n] accumulator?:G[*,*] -> "
     "loss:f32[1] dx:T[n,h] dWeight=accumulator:G[*,*]",
     "transposeWeight=0 lossScale=1 ignoreIndex=-100 chunkTokens=1024 accumulate=0"},
    {"crossEntropy", "logits:T[n,c] targets:i32[n] -> loss:f32[1]", "lossScale=1 ignoreIndex=-100"},
    {"crossEntropyBackward", "logits:T[n,c] targets:i32[n] -> loss:f32[1] dLogits:T[n,c]",
     "lossScale=1 ignoreIndex=-100"},
    // Optimizers.
    {"adamDirection",
     "gradient:G[#e] expAvg:S[#e] expAvgSq:S[#e] gradientScale?:f32[1] -> "
     "direction:D[#e] =expAvg =expAvgSq",
     "beta1 beta2 epsilon firstMomentStep secondMomentStep"},
    {"adamW",
     "weight:W[#e] gradient:G[#e] expAvg:S[#e] expAvgSq:S[#e] gradientScale?:f32[1] -> "
     "=weight =expAvg =expAvgSq",
     "learningRate updateScale=1 beta1 beta2 epsilon weightDecay=0 step stochasticRounding=0 "
     "roundingSeed=0 tensorId=0"},
    {"sgd",
     "weight:W[#e] gradient:G[#e] momentum?:S[#e] gradientScale?:f32[1] -> =weight =momentum",
     "learningRate momentumFactor=0 weightDecay=0 step=0 stochasticRounding=0 roundingSeed=0 "
     "tensorId=0"},
    {"sumOfSquares", "x:T[#e] partials:f32[p] -> =partials[index]", "index"},
    {"gradientNorm", "partials:f32[p] -> norm:f32[1] scale:f32[1]", "maxNorm"},
    // Plumbing.
    {"cast", "x:A[#e] -> y:B[#e]", ""},
    {"copy", "x:T[#e] -> y:T[#e]", ""},
    {"fill", "-> y:T[#e]", "value"},
    {"randomNormal", "-> y:T[#e]", "seedLow seedHigh tensorId standardDeviation"},
    {"quantize", "x:T[#e] -> codes:i8[#e] scales:f32[g]", "groupSize"},
    {"dequantize", "codes:i8[#e] scales:f32[g] -> y:T[#e]", "groupSize"},
};

}  // namespace compact

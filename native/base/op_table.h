// Every op of the package: written by scripts/generate-ops.cjs from the definitions in
// lib/graph/ops, never by hand (npm run generate:ops).
//
// The engine checks each instruction of a plan against this table before anything runs, for every
// backend. lib/graph/signature.ts has the grammar of operands and attributes; docs/operations.md
// states what each op computes.
#pragma once

// clang-format off

// The ops of each family, a folder of a backend.
#define COMPACT_GEMM_OPS(X) \
    X(Matmul) \
    X(MatmulInt8) \
    X(MatmulNf4)
#define COMPACT_PROJECTION_OPS(X) \
    X(Orthonormalize) \
    X(Project) \
    X(ProjectBackUpdate) \
    X(ProjectBackUpdateInt8) \
    X(ProjectLeft) \
    X(ProjectTransfer) \
    X(RandomNormal)
#define COMPACT_ATTENTION_OPS(X) \
    X(Attention) \
    X(AttentionBackward) \
    X(CachedAttention)
#define COMPACT_LAYERS_OPS(X) \
    X(AddRmsNorm) \
    X(Dropout) \
    X(Embedding) \
    X(EmbeddingBackward) \
    X(EmbeddingInt8) \
    X(Geglu) \
    X(GegluBackward) \
    X(Gelu) \
    X(GeluBackward) \
    X(LayerNorm) \
    X(LayerNormBackward) \
    X(RmsNorm) \
    X(RmsNormBackward) \
    X(Rope) \
    X(Segments) \
    X(SegmentsBackward) \
    X(Silu) \
    X(SiluBackward) \
    X(Swiglu) \
    X(SwigluBackward) \
    X(Tanh) \
    X(TanhBackward)
#define COMPACT_ELEMENTWISE_OPS(X) \
    X(Add) \
    X(Bias) \
    X(Clip) \
    X(ColumnSum) \
    X(Multiply) \
    X(Scale) \
    X(ScaleChannels)
#define COMPACT_LOSSES_OPS(X) \
    X(CrossEntropy) \
    X(CrossEntropyBackward) \
    X(LinearCrossEntropy) \
    X(LinearCrossEntropyBackward) \
    X(LinearCrossEntropyInputBackward) \
    X(LinearCrossEntropyInt8) \
    X(LinearCrossEntropyInt8Backward) \
    X(LinearCrossEntropyRowsBackward) \
    X(LinearLogProbabilities) \
    X(LinearLogProbabilitiesInputBackward) \
    X(LinearLogProbabilitiesWeightBackward) \
    X(PreferenceLoss) \
    X(PreferenceLossBackward) \
    X(SquaredError) \
    X(SquaredErrorBackward)
#define COMPACT_OPTIMIZERS_OPS(X) \
    X(AdafactorDirection) \
    X(AdamDirection) \
    X(AdamW) \
    X(ChannelFactors) \
    X(DivideByNorm) \
    X(GradientNorm) \
    X(LionDirection) \
    X(Momentum) \
    X(Sgd) \
    X(SumOfSquares) \
    X(WeightUpdate) \
    X(WeightUpdateInt8)
#define COMPACT_PLUMBING_OPS(X) \
    X(Cast) \
    X(Copy) \
    X(Fill) \
    X(FirstRows) \
    X(FirstRowsBackward) \
    X(SelectRow)
#define COMPACT_QUANTIZATION_OPS(X) \
    X(Dequantize) \
    X(DequantizeFp8) \
    X(DequantizeNf4) \
    X(Quantize) \
    X(QuantizeFp8) \
    X(QuantizeNf4)
#define COMPACT_OPS(X) \
    COMPACT_GEMM_OPS(X) \
    COMPACT_PROJECTION_OPS(X) \
    COMPACT_ATTENTION_OPS(X) \
    COMPACT_LAYERS_OPS(X) \
    COMPACT_ELEMENTWISE_OPS(X) \
    COMPACT_LOSSES_OPS(X) \
    COMPACT_OPTIMIZERS_OPS(X) \
    COMPACT_PLUMBING_OPS(X) \
    COMPACT_QUANTIZATION_OPS(X)

namespace compact {

struct OpSignature {
    const char* name;
    const char* operands;
    const char* attributes;
};

inline constexpr OpSignature kOpSignatures[] = {
    {"matmul",
     "a:T[*,*] b:T[*,*] accumulator?:C[m,n] squares?:f32[p] -> c=accumulator:C[m,n] "
     "=squares[squaresIndex]",
     "transposeA=0 transposeB=0 alpha=1 accumulate=0 squaresIndex=0"},
    {"matmulInt8",
     "a:T[m,*] codes:i8[*,*] scales:f32[g] -> c:C[m,*]",
     "groupSize transposeB=0"},
    {"matmulNf4",
     "a:T[m,*] codes:u8[*,*] magnitudes:u8[s,256] ranges:f32[s,2] -> c:C[m,*]",
     "transposeB=0"},
    {"orthonormalize",
     "x:T[n,r] -> q:D[n,r]",
     ""},
    {"project",
     "x:T[n,k] -> z:T[n,r]",
     "seedLow seedHigh tensorId epoch distribution=0"},
    {"projectBackUpdate",
     "weight:W[n,m] direction:D[r,m] -> =weight",
     "seedLow seedHigh tensorId epoch distribution=0 learningRate updateScale=1 weightDecay=0 "
     "stochasticRounding=0 roundingSeed=0 step=0"},
    {"projectBackUpdateInt8",
     "codes:i8[n,m] scales:f32[g] direction:D[r,m] -> =codes =scales",
     "groupSize seedLow seedHigh tensorId epoch distribution=0 learningRate updateScale=1 "
     "weightDecay=0 roundingSeed=0 step"},
    {"projectLeft",
     "x:T[n,m] -> z:T[r,m]",
     "seedLow seedHigh tensorId epoch distribution=0"},
    {"projectTransfer",
     "moment:S[r,m] -> =moment",
     "rows seedLow seedHigh tensorId oldEpoch newEpoch distribution=0"},
    {"randomNormal",
     "-> y:T[#e]",
     "seedLow seedHigh tensorId standardDeviation"},
    {"attention",
     "q:T[n,w] k:T[n,u] v:T[n,u] mask?:u8[n] firstKeys?:i32[n] -> o:T[n,w] lse:f32[n,a]",
     "sequenceLength headSize causal=1 scale window=0 softCap=0"},
    {"attentionBackward",
     "q:T[n,w] k:T[n,u] v:T[n,u] o:T[n,w] lse:f32[n,a] dO:T[n,w] mask?:u8[n] "
     "firstKeys?:i32[n] -> dq:T[n,w] dk:T[n,u] dv:T[n,u]",
     "sequenceLength headSize causal=1 scale window=0 softCap=0"},
    {"cachedAttention",
     "q:T[n,w] k:T[n,u] v:T[n,u] keyCache:T[c,u] valueCache:T[c,u] positions:i32[n] -> "
     "o:T[n,w] =keyCache =valueCache",
     "newTokens headSize scale window=0 softCap=0"},
    {"addRmsNorm",
     "a:T[n,h] b:T[n,h] weight:T[h] -> sum:T[n,h] y:T[n,h] rstd:f32[n]",
     "epsilon weightOffset=0"},
    {"dropout",
     "x:T[#e] -> y:T[#e]",
     "probability seedLow seedHigh tensorId step"},
    {"embedding",
     "table:T[v,h] ids:i32[n] -> y:T[n,h]",
     ""},
    {"embeddingBackward",
     "ids:i32[n] dy:T[n,h] accumulator?:G[v,h] -> dTable=accumulator:G[v,h]",
     "first=0 numIds=0 accumulate=0"},
    {"embeddingInt8",
     "codes:i8[v,h] scales:f32[g] ids:i32[n] -> y:T[n,h]",
     "groupSize"},
    {"geglu",
     "gate:T[#e] up:T[#e] -> y:T[#e]",
     ""},
    {"gegluBackward",
     "gate:T[#e] up:T[#e] dy:T[#e] -> dGate:T[#e] dUp:T[#e]",
     ""},
    {"gelu",
     "x:T[#e] -> y:T[#e]",
     "approximate=0"},
    {"geluBackward",
     "x:T[#e] dy:T[#e] -> dx:T[#e]",
     "approximate=0"},
    {"layerNorm",
     "x:T[n,h] weight:T[h] bias:T[h] -> y:T[n,h] mean:f32[n] rstd:f32[n]",
     "epsilon"},
    {"layerNormBackward",
     "x:T[n,h] weight:T[h] mean:f32[n] rstd:f32[n] dy:T[n,h] accumulator?:G[h] "
     "biasAccumulator?:G[h] -> dx:T[n,h] dWeight=accumulator:G[h] dBias=biasAccumulator:G[h]",
     "accumulate=0"},
    {"rmsNorm",
     "x:T[n,h] weight:T[h] -> y:T[n,h] rstd:f32[n]",
     "epsilon weightOffset=0"},
    {"rmsNormBackward",
     "x:T[n,h] weight:T[h] rstd:f32[n] dy:T[n,h] residualGradient?:T[n,h] accumulator?:G[h] "
     "-> dx:T[n,h] dWeight=accumulator:G[h]",
     "weightOffset=0 accumulate=0"},
    {"rope",
     "x:T[n,w] cos:f32[s,d] sin:f32[s,d] positions?:i32[n] -> y:T[n,w]",
     "headSize inverse=0"},
    {"segments",
     "x:T[#e] -> codes:u8[s]",
     "threshold1 threshold2 threshold3"},
    {"segmentsBackward",
     "codes:u8[s] dy:T[#e] -> dx:T[#e]",
     "slope1 slope2 slope3"},
    {"silu",
     "x:T[#e] -> y:T[#e]",
     ""},
    {"siluBackward",
     "x:T[#e] dy:T[#e] -> dx:T[#e]",
     ""},
    {"swiglu",
     "gate:T[#e] up:T[#e] -> y:T[#e]",
     ""},
    {"swigluBackward",
     "gate:T[#e] up:T[#e] dy:T[#e] -> dGate:T[#e] dUp:T[#e]",
     ""},
    {"tanh",
     "x:T[#e] -> y:T[#e]",
     "cap=1"},
    {"tanhBackward",
     "y:T[#e] dy:T[#e] -> dx:T[#e]",
     "cap=1"},
    {"add",
     "a:T[#e] b:T[#e] -> y:T[#e]",
     ""},
    {"bias",
     "x:T[n,m] bias:T[m] -> y:T[n,m]",
     ""},
    {"clip",
     "x:T[#e] -> y:T[#e]",
     "limit"},
    {"columnSum",
     "x:T[n,m] accumulator?:G[m] -> y=accumulator:G[m]",
     "accumulate=0"},
    {"multiply",
     "a:T[#e] b:T[#e] -> y:T[#e]",
     ""},
    {"scale",
     "x:T[#e] -> y:T[#e]",
     "factor"},
    {"scaleChannels",
     "x:T[n,m] factors:f32[c] -> y:T[n,m]",
     "axis"},
    {"crossEntropy",
     "logits:T[n,c] targets:i32[n] -> loss:f32[1]",
     "lossScale=1 ignoreIndex=-100"},
    {"crossEntropyBackward",
     "logits:T[n,c] targets:i32[n] -> loss:f32[1] dLogits:T[n,c]",
     "lossScale=1 ignoreIndex=-100"},
    {"linearCrossEntropy",
     "x:T[n,h] weight:T[v,h] targets:i32[n] -> loss:f32[1]",
     "lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0"},
    {"linearCrossEntropyBackward",
     "x:T[n,h] weight:T[v,h] targets:i32[n] accumulator?:G[v,h] -> loss:f32[1] dx:T[n,h] "
     "dWeight=accumulator:G[v,h]",
     "lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0 accumulate=0"},
    {"linearCrossEntropyInputBackward",
     "x:T[n,h] weight:T[v,h] targets:i32[n] -> loss:f32[1] dx:T[n,h] lse:f32[n]",
     "lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0"},
    {"linearCrossEntropyInt8",
     "x:T[n,h] codes:i8[v,h] scales:f32[g] targets:i32[n] -> loss:f32[1]",
     "groupSize lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0"},
    {"linearCrossEntropyInt8Backward",
     "x:T[n,h] codes:i8[v,h] scales:f32[g] targets:i32[n] -> loss:f32[1] dx:T[n,h]",
     "groupSize lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0"},
    {"linearCrossEntropyRowsBackward",
     "x:T[n,h] weight:T[v,h] targets:i32[n] lse:f32[n] -> dWeight:G[v,h]",
     "first lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0"},
    {"linearLogProbabilities",
     "x:T[n,h] weight:T[v,h] targets:i32[n] -> logProbabilities:f32[s] lse:f32[n]",
     "sequenceLength ignoreIndex=-100 chunkTokens=1024 softCap=0"},
    {"linearLogProbabilitiesInputBackward",
     "x:T[n,h] weight:T[v,h] targets:i32[n] lse:f32[n] dLogProbabilities:f32[s] -> dx:T[n,h]",
     "sequenceLength ignoreIndex=-100 chunkTokens=1024 softCap=0"},
    {"linearLogProbabilitiesWeightBackward",
     "x:T[n,h] weight:T[v,h] targets:i32[n] lse:f32[n] dLogProbabilities:f32[s] "
     "accumulator?:G[v,h] -> dWeight=accumulator:G[v,h]",
     "sequenceLength first=0 ignoreIndex=-100 chunkTokens=1024 softCap=0 accumulate=0"},
    {"preferenceLoss",
     "logProbabilities:f32[s] reference:f32[s] -> loss:f32[1] logRatios:f32[s]",
     "beta=0.1 labelSmoothing=0 lossScale=1"},
    {"preferenceLossBackward",
     "logProbabilities:f32[s] reference:f32[s] -> loss:f32[1] logRatios:f32[s] "
     "dLogProbabilities:f32[s]",
     "beta=0.1 labelSmoothing=0 lossScale=1"},
    {"squaredError",
     "predictions:T[#e] targets:f32[#e] -> loss:f32[1]",
     "lossScale=1"},
    {"squaredErrorBackward",
     "predictions:T[#e] targets:f32[#e] -> loss:f32[1] dPredictions:T[#e]",
     "lossScale=1"},
    {"adafactorDirection",
     "gradient:G[#e] rows:f32[n] columns:f32[m] parameter?:W[#w] gradientScale?:f32[1] -> "
     "direction:D[#e] =rows =columns",
     "decayExponent epsilon clipThreshold step leastParameter=0"},
    {"adamDirection",
     "gradient:G[#e] expAvg:S|u8[#e] expAvgSq:S|u8[#e] gradientScale?:f32[1] "
     "expAvgScales?:f32[b] expAvgSqScales?:f32[b] -> direction:D[#e] =expAvg =expAvgSq "
     "=expAvgScales =expAvgSqScales",
     "beta1 beta2 epsilon firstMomentStep secondMomentStep"},
    {"adamW",
     "weight:W[#e] gradient:G[#e] expAvg:S|u8[#e] expAvgSq:S|u8[#e] gradientScale?:f32[1] "
     "expAvgScales?:f32[b] expAvgSqScales?:f32[b] -> =weight =expAvg =expAvgSq =expAvgScales "
     "=expAvgSqScales",
     "learningRate updateScale=1 beta1 beta2 epsilon weightDecay=0 step stochasticRounding=0 "
     "roundingSeed=0 tensorId=0"},
    {"channelFactors",
     "gradient:G[n,m] compressed:R[a,b] direction:D[a,b] previousNorm:f32[1] "
     "gradientScale?:f32[1] -> factors:f32[c] =previousNorm",
     "axis epsilon growthLimit"},
    {"divideByNorm",
     "x:X[n,m] -> y:Y[n,m]",
     "of epsilon factor=1"},
    {"gradientNorm",
     "partials:f32[p] -> norm:f32[1] scale:f32[1]",
     "maxNorm"},
    {"lionDirection",
     "gradient:G[#e] average:S[#e] gradientScale?:f32[1] -> direction:D[#e] =average",
     "beta1 beta2"},
    {"momentum",
     "gradient:G[#e] buffer?:S[#e] gradientScale?:f32[1] -> direction:D[#e] =buffer",
     "factor dampening=0 nesterov=0"},
    {"sgd",
     "weight:W[#e] gradient:G[#e] momentum?:S[#e] gradientScale?:f32[1] -> =weight =momentum",
     "learningRate updateScale=1 momentumFactor=0 nesterov=0 weightDecay=0 step=0 "
     "stochasticRounding=0 roundingSeed=0 tensorId=0"},
    {"sumOfSquares",
     "x:T[#e] partials:f32[p] -> =partials[index]",
     "index"},
    {"weightUpdate",
     "weight:W[#e] direction:D[#e] gradientScale?:f32[1] -> =weight",
     "learningRate updateScale=1 weightDecay=0 step=0 stochasticRounding=0 roundingSeed=0 "
     "tensorId=0"},
    {"weightUpdateInt8",
     "codes:i8[#e] scales:f32[g] direction:D[#e] gradientScale?:f32[1] -> =codes =scales",
     "groupSize learningRate updateScale=1 weightDecay=0 step roundingSeed=0 tensorId=0"},
    {"cast",
     "x:A[#e] -> y:B[#e]",
     ""},
    {"copy",
     "x:T[#e] -> y:T[#e]",
     ""},
    {"fill",
     "-> y:T[#e]",
     "value"},
    {"firstRows",
     "x:T[n,h] -> y:T[m,h]",
     ""},
    {"firstRowsBackward",
     "dy:T[m,h] -> dx:T[n,h]",
     ""},
    {"selectRow",
     "x:T[n,h] -> y:T[1,h]",
     "row"},
    {"dequantize",
     "codes:i8[#e] scales:f32[g] -> y:T[#e]",
     "groupSize"},
    {"dequantizeFp8",
     "codes:u8[#e] scales:f32[g] -> y:T[#e]",
     "groupSize"},
    {"dequantizeNf4",
     "codes:u8[r,*] magnitudes:u8[s,256] ranges:f32[s,2] -> y:T[r,*]",
     ""},
    {"quantize",
     "x:T[#e] -> codes:i8[#e] scales:f32[g]",
     "groupSize"},
    {"quantizeFp8",
     "x:T[#e] -> codes:u8[#e] scales:f32[g]",
     "groupSize"},
    {"quantizeNf4",
     "x:T[r,*] -> codes:u8[r,*] magnitudes:u8[s,256] ranges:f32[s,2]",
     ""},
};

// Which output of an op may take the memory of one of its inputs, beyond the updates and
// accumulators that its signature names. Only exactly the same bytes are allowed, never a part.
struct OpAlias {
    const char* op;
    const char* output;
    const char* input;
};

inline constexpr OpAlias kOpAliases[] = {
    {"addRmsNorm", "sum", "a"},
    {"addRmsNorm", "sum", "b"},
    {"addRmsNorm", "y", "a"},
    {"addRmsNorm", "y", "b"},
    {"dropout", "y", "x"},
    {"geglu", "y", "gate"},
    {"geglu", "y", "up"},
    {"gegluBackward", "dGate", "gate"},
    {"gegluBackward", "dGate", "dy"},
    {"gegluBackward", "dUp", "up"},
    {"gegluBackward", "dUp", "dy"},
    {"gelu", "y", "x"},
    {"geluBackward", "dx", "x"},
    {"geluBackward", "dx", "dy"},
    {"rmsNormBackward", "dx", "dy"},
    {"rmsNormBackward", "dx", "residualGradient"},
    {"rope", "y", "x"},
    {"segmentsBackward", "dx", "dy"},
    {"silu", "y", "x"},
    {"siluBackward", "dx", "x"},
    {"siluBackward", "dx", "dy"},
    {"swiglu", "y", "gate"},
    {"swiglu", "y", "up"},
    {"swigluBackward", "dGate", "gate"},
    {"swigluBackward", "dGate", "dy"},
    {"swigluBackward", "dUp", "up"},
    {"swigluBackward", "dUp", "dy"},
    {"tanh", "y", "x"},
    {"tanhBackward", "dx", "y"},
    {"tanhBackward", "dx", "dy"},
    {"add", "y", "a"},
    {"add", "y", "b"},
    {"bias", "y", "x"},
    {"clip", "y", "x"},
    {"multiply", "y", "a"},
    {"multiply", "y", "b"},
    {"scale", "y", "x"},
    {"scaleChannels", "y", "x"},
    {"adafactorDirection", "direction", "gradient"},
    {"adamDirection", "direction", "gradient"},
    {"divideByNorm", "y", "x"},
    {"lionDirection", "direction", "gradient"},
    {"momentum", "direction", "gradient"},
    {"cast", "y", "x"},
};

}  // namespace compact

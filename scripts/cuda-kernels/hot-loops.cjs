// The loops that a training step spends its time in, and what they take on each architecture.
'use strict';

const path = require('node:path');
const { disassemble } = require('./disassemble.cjs');
const { countHotPath } = require('./hot-path.cjs');

const rows = 'StoredOperand<true, true>';
const columns = 'StoredOperand<false, true>';
const product = (a, b) =>
  `gemm_bf16_kernel<TensorTile<128, 128, 64>, ${a}, ${b}, StoreEpilogue<unsigned short>, 1>`;
const warpStep = 'a warp of 64 x 64, 32 of the inner dimension';
const eightElements = 'eight elements a thread';

// `of` is what passes by in one turn; `threads` and `sharedBytes` of a block are as launched at hidden size 1024. Kernels
// without a loop are counted from beginning to end.
const hotLoops = [
  ...[
    ['product: x W', rows, columns],
    ['product: dY W^T', rows, rows],
    ['product: x^T dY', columns, columns],
  ].map(([loop, a, b]) => ({
    loop,
    source: 'gemm/gemm_store.cu',
    kernel: product(a, b),
    of: warpStep,
    threads: 128,
    sharedBytes: 49152,
  })),
  {
    loop: 'product that makes P: x P',
    source: 'gemm/gemm_store.cu',
    kernel: `gemm_bf16_kernel<TensorTile<128, 128, 32>, ${rows}, GeneratedOperand<false>, StoreEpilogue<unsigned short>, 1>`,
    of: 'a warp of 64 x 32, 32 of the inner dimension',
    threads: 256,
    sharedBytes: 49152 + 512,
  },
  {
    loop: 'product by warpgroups: x W',
    source: 'gemm/gemm_store.cu',
    kernel: 'gemm_warpgroup_kernel<true, false, StoreEpilogue<unsigned short>, 1>',
    of: 'a warpgroup and 64 of the inner dimension',
    architectures: ['90a'],
    threads: 384,
    sharedBytes: 218176,
  },
  {
    loop: 'panel of P',
    source: 'projection/projection.cu',
    kernel: 'panel_kernel<0>',
    of: 'a warp and 256 values',
    threads: 256,
  },
  ...[
    { size: 64, inner: 64 },
    { size: 128, inner: 32 },
  ].flatMap(({ size, inner }) => [
    {
      loop: `attention, heads of ${size}`,
      source: 'attention/attention.cu',
      kernel: `attention_tile_kernel<${size}, 0>`,
      of: `a warp, 32 queries and ${inner} keys`,
      threads: 128,
      sharedBytes: (128 + 2 * inner) * size * 2,
    },
    ...[
      ['keys', 'key_gradient_tile_kernel', 'queries'],
      ['queries', 'query_gradient_tile_kernel', 'keys'],
    ].map(([own, kernel, passing]) => ({
      loop: `attention backward, ${own}, heads of ${size}`,
      source: 'attention/attention_backward_tiles.cu',
      kernel: `${kernel}<${size}, 0>`,
      of: `a warp, 16 ${own} and ${inner} ${passing}`,
      threads: 128,
      sharedBytes: (128 + 4 * inner) * size * 2 + 16 * inner,
    })),
  ]),
  {
    loop: 'RMSNorm backward',
    source: 'layers/rms_norm.cu',
    kernel: 'rms_norm_backward_held_kernel<unsigned short>',
    of: eightElements,
    threads: 128,
  },
  ...[
    ['RMSNorm', 'layers/rms_norm.cu', 'rms_norm_kernel<unsigned short, true>'],
    ['RMSNorm with residual', 'layers/add_rms_norm.cu', 'add_rms_norm_kernel<unsigned short, true>'],
  ].map(([loop, source, kernel]) => ({ loop, source, kernel, of: eightElements, threads: 128 })),
  ...[
    ['rotary embedding', 'layers/rope.cu', 'rope_kernel<unsigned short>', 'sixteen elements a thread'],
    ['SwiGLU', 'layers/swiglu.cu', 'elementwise_kernel<unsigned short, unsigned short, 2, 1, Swiglu>'],
    [
      'SwiGLU backward',
      'layers/swiglu.cu',
      'elementwise_kernel<unsigned short, unsigned short, 3, 2, SwigluBackward>',
    ],
    ['AdamW', 'optimizers/adam_w.cu', 'adam_w_kernel'],
    ['low-rank Adam', 'optimizers/adam_direction.cu', 'adam_direction_kernel'],
  ].map(([loop, source, kernel, of = eightElements]) => ({
    loop,
    source,
    kernel,
    of,
    threads: 256,
  })),
];

// Of a multiprocessor: registers are 65536 everywhere and given to a warp by 256, a block holds 1 KB of shared memory
// beside its own. CUDA C++ Programming Guide, "Compute Capabilities".
const multiprocessors = {
  80: { warps: 64, blocks: 32, sharedKilobytes: 164 },
  86: { warps: 48, blocks: 16, sharedKilobytes: 100 },
  89: { warps: 48, blocks: 24, sharedKilobytes: 100 },
  '90a': { warps: 64, blocks: 32, sharedKilobytes: 228 },
  '100a': { warps: 64, blocks: 32, sharedKilobytes: 228 },
  120: { warps: 48, blocks: 24, sharedKilobytes: 100 },
};

/** Warps of a kernel that a multiprocessor holds at a time, as a share of those that it could hold. */
function occupancy({ threads, sharedBytes }, registers, architecture) {
  const limits = multiprocessors[architecture];
  const warps = threads / 32;
  const warpRegisters = Math.ceil((registers * 32) / 256) * 256;
  const blocks = Math.min(
    limits.blocks,
    Math.floor(limits.warps / warps),
    Math.floor((Math.floor(65536 / warpRegisters / 4) * 4) / warps),
    Math.floor((limits.sharedKilobytes * 1024) / (sharedBytes + 1024)),
  );
  return (blocks * warps) / limits.warps;
}

/**
 * One row for each hot loop. `entries` are what ptxas said of all kernels, `objects` the folder of what was compiled.
 * Throws where a kernel is not there.
 */
exports.countHotLoops = (cuobjdump, objects, entries) => {
  const known = new Map();
  const kernelsOf = (source, architecture) => {
    const key = `${source} ${architecture}`;
    if (!known.has(key))
      known.set(key, disassemble(cuobjdump, path.join(objects, `${source}.o`), architecture));
    return known.get(key);
  };
  return hotLoops.map(({ architectures = Object.keys(multiprocessors), ...loop }) => {
    const row = { ...loop, sharedBytes: 0, counts: {} };
    for (const architecture of architectures) {
      const found = kernelsOf(loop.source, architecture).find(({ name }) => name === loop.kernel);
      if (found === undefined) throw new Error(`${loop.source} has no ${loop.kernel} for ${architecture}`);
      const entry = entries.find(
        (other) => other.symbol === found.symbol && other.architecture === architecture,
      );
      row.sharedBytes = entry.sharedBytes + (loop.sharedBytes ?? 0);
      row.counts[architecture] = {
        ...countHotPath(found.instructions),
        registers: entry.registers,
        occupancy: occupancy(row, entry.registers, architecture),
      };
    }
    return row;
  });
};

/** In words, what takes more instructions than it did. */
exports.risen = (rows, recorded) =>
  rows.flatMap(({ loop, counts }) => {
    const before = recorded.find((row) => row.loop === loop)?.counts ?? {};
    return Object.entries(counts)
      .filter(([architecture, { all }]) => all > before[architecture]?.all)
      .map(
        ([architecture, { all }]) =>
          `${loop}, sm_${architecture}: ${all} instructions, ${before[architecture].all} are recorded`,
      );
  });

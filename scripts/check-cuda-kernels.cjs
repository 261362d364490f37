// Builds the CUDA module for every supported architecture, prints a table of what ptxas said of every kernel, and fails
// when a hot kernel keeps values in local memory (spilled registers, or arrays that did not fit into them), or when a hot
// loop takes more instructions than are recorded of it.
//
//   node scripts/check-cuda-kernels.cjs [--write]     --write: also into bench/results/cuda-resources.json, cuda-counts.json
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const cudaBuild = require('./cuda-build.cjs');
const { findDisassembler } = require('./cuda-kernels/disassemble.cjs');
const { countHotLoops, risen } = require('./cuda-kernels/hot-loops.cjs');

const root = path.resolve(__dirname, '..');
const sources = path.join(root, 'cuda');
const table = path.join(root, 'bench', 'results', 'cuda-resources.json');
const countTable = path.join(root, 'bench', 'results', 'cuda-counts.json');

// Where the time of a training step goes.
const hotKernels = [
  'adam_direction_kernel',
  'adam_w_kernel',
  'add_rms_norm_kernel',
  'attention_tile_kernel',
  'elementwise_kernel', // SwiGLU and all that is as simple
  'gemm_bf16_kernel',
  'gemm_simple_kernel',
  'gemm_warpgroup_kernel',
  'key_gradient_tile_kernel',
  'panel_kernel',
  'query_gradient_tile_kernel',
  'query_statistics_kernel',
  'reduce_splits_kernel',
  'rms_norm_backward_held_kernel',
  'rms_norm_backward_kernel',
  'rms_norm_kernel',
  'softmax_gradient_kernel',
  'softmax_loss_kernel',
];

const problem = cudaBuild.build();
if (problem !== undefined) {
  console.log(`skipped: the CUDA module was ${problem}`);
} else {
  const files = fs
    .readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.cu') && !name.startsWith('bench'));
  const entries = files.flatMap((name) =>
    entriesOf(
      path.basename(name),
      fs.readFileSync(path.join(cudaBuild.objects, `${name}.o.resources`), 'utf8'),
    ),
  );
  const architectures = [...new Set(entries.map(({ architecture }) => architecture))];
  const rows = summarize(entries);
  printTable(rows, architectures);
  if (process.argv.includes('--write')) fs.writeFileSync(table, `${asLines(rows)}\n`);
  const unknown = hotKernels.filter((kernel) => !rows.some((row) => row.kernel === kernel));
  const bad = rows.filter(
    ({ hot, localBytes }) => hot && Object.values(localBytes).some((bytes) => bytes > 0),
  );
  for (const kernel of unknown)
    console.error(`there is no kernel ${kernel}: correct the list of hot kernels`);
  for (const { source, kernel } of bad) console.error(`${kernel} (${source}) uses local memory`);
  if (unknown.length > 0 || bad.length > 0) process.exitCode = 1;
  console.log(
    `${entries.length} kernels, ${architectures.length} architectures, ${bad.length} hot ones in local memory`,
  );
  checkCounts(entries);
}

/** Instructions of hot loops against those that are recorded, or into the record. */
function checkCounts(entries) {
  const cuobjdump = findDisassembler();
  if (cuobjdump === undefined) {
    console.log(
      "skipped: instructions were not counted, there is no cuobjdump (CUDA's toolkit or Python's triton)",
    );
    return;
  }
  const rows = countHotLoops(cuobjdump, cudaBuild.objects, entries);
  printCounts(rows);
  const compiler = cudaBuild.compiler();
  if (process.argv.includes('--write')) {
    fs.writeFileSync(countTable, `{"compiler":"${compiler}","loops":${asLines(rows)}}\n`);
    return;
  }
  const recorded = JSON.parse(fs.readFileSync(countTable, 'utf8'));
  if (recorded.compiler !== compiler) {
    console.log(`skipped: counts are recorded of ${recorded.compiler}, and this is ${compiler}`);
    return;
  }
  for (const what of risen(rows, recorded.loops)) {
    console.error(`${what}: make it shorter, or record it with --write and say why`);
    process.exitCode = 1;
  }
}

function asLines(rows) {
  return `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(',\n')}\n]`;
}

function printCounts(rows) {
  for (const { loop, of, counts } of rows) {
    const parts = Object.entries(counts).map(([architecture, { all }]) => `sm_${architecture} ${all}`);
    console.log(`${loop}, ${of}: ${parts.join(', ')}`);
  }
}

/** What ptxas said: one entry for each instantiation of a kernel and each architecture. */
function entriesOf(source, text) {
  const entries = [];
  for (const line of text.split('\n')) {
    const begin = /Compiling entry function '(.+)' for 'sm_(.+)'/.exec(line);
    if (begin !== null)
      entries.push({ source, kernel: kernelName(begin[1]), symbol: begin[1], architecture: begin[2] });
    const local = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (local !== null) entries.at(-1).localBytes = Math.max(...local.slice(1).map(Number));
    const used = /Used (\d+) registers/.exec(line);
    if (used === null) continue;
    entries.at(-1).registers = Number(used[1]);
    entries.at(-1).sharedBytes = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0);
  }
  return entries;
}

/** The last part of a mangled name: _ZN 7compact 11some_kernel I ... */
function kernelName(symbol) {
  let rest = symbol.replace(/^_ZN?/, '');
  let name = symbol;
  for (let length; (length = /^\d+/.exec(rest)?.[0]) !== undefined;) {
    name = rest.slice(length.length, length.length + Number(length));
    rest = rest.slice(length.length + Number(length));
  }
  return name;
}

/** One row for each kernel of a source: the largest of its instantiations on each architecture. */
function summarize(entries) {
  const rows = new Map();
  for (const { source, kernel, architecture, registers, sharedBytes, localBytes } of entries) {
    const key = `${source} ${kernel}`;
    if (!rows.has(key)) {
      const hot = hotKernels.includes(kernel);
      rows.set(key, { source, kernel, hot, sharedBytes: 0, registers: {}, localBytes: {} });
    }
    const row = rows.get(key);
    row.sharedBytes = Math.max(row.sharedBytes, sharedBytes);
    row.registers[architecture] = Math.max(row.registers[architecture] ?? 0, registers);
    row.localBytes[architecture] = Math.max(row.localBytes[architecture] ?? 0, localBytes);
  }
  return [...rows.values()];
}

/** Registers of a thread; +N: bytes of local memory. Shared memory is what is known when compiling. */
function printTable(rows, architectures) {
  const heads = ['kernel', 'source', 'shared', ...architectures.map((architecture) => `sm_${architecture}`)];
  const lines = rows.map(({ source, kernel, hot, sharedBytes, registers, localBytes }) => [
    `${hot ? '* ' : '  '}${kernel}`,
    source,
    String(sharedBytes),
    ...architectures.map(
      (name) => `${registers[name] ?? ''}${localBytes[name] > 0 ? `+${localBytes[name]}` : ''}`,
    ),
  ]);
  const widths = heads.map((head, i) => Math.max(head.length, ...lines.map((line) => line[i].length)));
  const pad = (text, i) => (i < 2 ? text.padEnd(widths[i]) : text.padStart(widths[i]));
  for (const line of [heads, ...lines]) console.log(line.map(pad).join('  ').trimEnd());
  console.log(
    '* hot; registers of a thread, + bytes of local memory; shared memory known when compiling, in bytes',
  );
}

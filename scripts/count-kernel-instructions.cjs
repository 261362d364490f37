// Counts the PTX instructions of the main loops of kernels, by kind: a proxy for machine code where no disassembler
// is at hand. PTX has virtual registers and more moves than machine code; tensor-core, copy and memory instructions are
// one to one.
//
//   node scripts/count-kernel-instructions.cjs [--arch 90a] cuda/gemm/gemm_update.cu ...     needs nvcc
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const kinds = [
  ['tensor core', /^(mma|wgmma)/],
  ['ldmatrix', /^ldmatrix/],
  ['async copy', /^cp\.async(?!\.(commit|wait))|^cp\.async\.bulk/],
  ['global', /^(ld|st)\.global/],
  ['shared', /^(ld|st)\.shared/],
  ['float', /^(fma|mul|add|sub|ex2|rcp|sqrt|min|max|neg|abs|cvt)\S*\.(f32|f16|bf16|f16x2|bf16x2)/],
  ['barrier', /^(bar|barrier|mbarrier)/],
];

const words = process.argv.slice(2);
const named = words.indexOf('--arch');
const architecture = named < 0 ? '90a' : words.splice(named, 2)[1];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'compact-train-ptx-'));
try {
  const rows = words.flatMap((source) => loopsOf(compile(source)));
  print(rows);
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}

function compile(source) {
  const target = path.join(folder, 'kernel.ptx');
  const flags = ['-ptx', '-std=c++17', '-fmad=false', `-arch=sm_${architecture}`, '-I', root, '-o', target];
  execFileSync('nvcc', [...flags, path.resolve(root, source)], { stdio: ['ignore', 2, 2] });
  return fs.readFileSync(target, 'utf8');
}

/** Of every kernel the shortest loop with all that it does on tensor cores; else the longest loop without another inside. */
function loopsOf(ptx) {
  return ptx
    .split(/^\.visible \.entry |^\.entry |^\.weak \.entry /m)
    .slice(1)
    .flatMap((text) => {
      const name = /^[^(\s]+/.exec(text)[0];
      const lines = text
        .slice(0, text.indexOf('\n}'))
        .split('\n')
        .map((line) => line.trim());
      const labels = new Map(
        lines.flatMap((line, i) => (/^\$\S+:$/.test(line) ? [[line.slice(0, -1), i]] : [])),
      );
      const loops = lines.flatMap((line, end) => {
        const begin = labels.get(/bra(?:\.uni)?\s+(\$[^;]+);/.exec(line)?.[1]);
        return begin !== undefined && begin < end ? [{ begin, end }] : [];
      });
      const counted = loops.map(({ begin, end }) => count(lines.slice(begin, end + 1)));
      const most = (a, b) => b['tensor core'] - a['tensor core'] || a.all - b.all;
      const innermost = counted.filter((_, i) => !loops.some((other) => isInside(other, loops[i])));
      const chosen = counted.some((loop) => loop['tensor core'] > 0)
        ? counted.toSorted(most)[0]
        : innermost.toSorted((a, b) => b.all - a.all)[0];
      return chosen === undefined ? [] : [{ name, ...chosen }];
    });
}

const isInside = (inner, outer) => inner !== outer && inner.begin >= outer.begin && inner.end <= outer.end;

function count(lines) {
  const instructions = lines
    .map((line) => line.replace(/^@!?%p\d+\s+/, ''))
    .filter((line) => /^[a-z]/.test(line));
  const row = { all: instructions.length };
  for (const [kind, pattern] of kinds)
    row[kind] = instructions.filter((instruction) => pattern.test(instruction)).length;
  return row;
}

function print(rows) {
  for (const { name, ...counts } of rows) {
    const parts = Object.entries(counts).filter(([, n]) => n > 0);
    console.log(`${name}\n    ${parts.map(([kind, n]) => `${kind} ${n}`).join(', ')}`);
  }
}

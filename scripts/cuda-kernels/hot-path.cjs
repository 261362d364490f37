// What a warp issues in the main loop of a kernel, or in a kernel without one. Kernels have ways for what is rare: rows
// that are not aligned, denormal divisors. The way that is counted is the shortest of those with the most tensor-core
// instructions and accesses of 16 bytes. Loops inside it are passed once.
'use strict';

const kinds = [
  ['tensor core', /^(HMMA|HGMMA)/],
  ['LDSM', /^LDSM/],
  ['async copy', /^(LDGSTS|UTMALDG)/],
  ['global', /^(LD|ST)G?\./],
  ['shared', /^(LD|ST)S\b/],
];
// Subroutines are for what is rare, and longer than their call.
const lengthOf = (opcode) => (opcode.startsWith('CALL') ? 100 : 1);
const isWide = (opcode) => /^(HMMA|HGMMA|LDSM|LDGSTS|UTMALDG)|^(LD|ST)G?\b.*\.(128|256)/.test(opcode);

const withoutGuard = (text) => text.replace(/^@!?U?P\w+\s+/, '');
const opcodeOf = (text) => withoutGuard(text).split(/\s/)[0];

/** { isLoop, all, 'tensor core', LDSM, ... } of the main loop, or of the whole kernel where none has wide instructions. */
exports.countHotPath = (instructions) => {
  const blocks = blocksOf(instructions);
  const { loops, backEdges } = findLoops(blocks);
  const loop = mainLoop(blocks, loops, backEdges);
  const all = { header: 0, members: new Set(blocks.keys()) };
  const { header, members } = loop ?? all;
  return { isLoop: loop !== undefined, ...count(bestPath(blocks, header, members, backEdges)) };
};

/** Basic blocks: their opcodes, and the numbers of those that may follow. */
function blocksOf(instructions) {
  const targetOf = (text) => {
    const found = /^(?:BRA|JMP)\b.*0x([0-9a-f]+)$/.exec(withoutGuard(text));
    return found === null ? undefined : Number.parseInt(found[1], 16);
  };
  const isExit = (text) => /^(EXIT|RET)\b/.test(withoutGuard(text));
  const begins = new Set([instructions[0].address]);
  for (const [i, { text }] of instructions.entries()) {
    const target = targetOf(text);
    if (target !== undefined) begins.add(target);
    if ((target !== undefined || isExit(text)) && i + 1 < instructions.length)
      begins.add(instructions[i + 1].address);
  }
  const blocks = [];
  for (const { address, text } of instructions) {
    if (begins.has(address)) blocks.push({ address, texts: [] });
    if (opcodeOf(text) !== 'NOP') blocks.at(-1).texts.push(text);
  }
  const numbers = new Map(blocks.map(({ address }, i) => [address, i]));
  return blocks.map(({ texts }, i) => {
    const last = texts.at(-1) ?? '';
    const target = targetOf(last);
    // A branch with a condition has a guard, or a predicate before its target.
    const mayFall = last.startsWith('@') || (target === undefined ? !isExit(last) : last.includes(','));
    const next = target === undefined ? [] : [numbers.get(target)];
    if (mayFall && i + 1 < blocks.length) next.push(i + 1);
    return { opcodes: texts.map(opcodeOf), next };
  });
}

/** Edges that go back in a walk from the entry, as 'from to', and what lies on the ways round each header. */
function findLoops(blocks) {
  const backEdges = new Set();
  const loops = new Map();
  const before = blocks.map(() => []);
  const state = blocks.map(() => 'new');
  const walk = [{ block: 0, at: 0 }];
  state[0] = 'open';
  while (walk.length > 0) {
    const top = walk.at(-1);
    const next = blocks[top.block].next[top.at++];
    if (next === undefined) {
      state[top.block] = 'done';
      walk.pop();
      continue;
    }
    before[next].push(top.block);
    if (state[next] === 'open') backEdges.add(`${top.block} ${next}`);
    if (state[next] !== 'new') continue;
    state[next] = 'open';
    walk.push({ block: next, at: 0 });
  }
  for (const [from, to] of [...backEdges].map((edge) => edge.split(' ').map(Number))) {
    const members = loops.get(to) ?? new Set([to]);
    loops.set(to, members);
    const open = [from];
    while (open.length > 0) {
      const block = open.pop();
      if (members.has(block)) continue;
      members.add(block);
      open.push(...before[block]);
    }
  }
  return { loops, backEdges };
}

/** Of the innermost loops that do the kernel's work the one with the most wide instructions, and of those the longest. */
function mainLoop(blocks, loops, backEdges) {
  const measured = [...loops].map(([header, members]) => {
    const path = bestPath(blocks, header, members, backEdges);
    return { header, members, path, tensor: count(path)['tensor core'] };
  });
  const tensor = measured.filter((loop) => loop.tensor > 0);
  const working = tensor.length > 0 ? tensor : measured.filter((loop) => loop.path.wide > 0);
  const holdsAnother = (loop) =>
    working.some(
      (other) => other !== loop && loop.members.has(other.header) && !other.members.has(loop.header),
    );
  const innermost = working.filter((loop) => !holdsAnother(loop));
  return innermost.toSorted((a, b) => b.path.wide - a.path.wide || b.path.length - a.path.length)[0];
}

/** From the header through members to a block that ends the way: a back edge, an exit. */
function bestPath(blocks, header, members, backEdges) {
  const known = new Map();
  const order = [];
  const open = [[header, false]];
  while (open.length > 0) {
    const [block, isDone] = open.pop();
    if (isDone) order.push(block);
    if (isDone || known.has(block)) continue;
    known.set(block, undefined);
    open.push([block, true]);
    for (const next of forward(block)) if (!known.has(next)) open.push([next, false]);
  }
  function forward(block) {
    return blocks[block].next.filter((next) => members.has(next) && !backEdges.has(`${block} ${next}`));
  }
  const better = (a, b) => b === undefined || a.wide > b.wide || (a.wide === b.wide && a.length < b.length);
  for (const block of order) {
    let rest;
    for (const next of forward(block)) if (better(known.get(next), rest)) rest = known.get(next);
    const { opcodes } = blocks[block];
    known.set(block, {
      wide: opcodes.filter(isWide).length + (rest?.wide ?? 0),
      length: opcodes.reduce((sum, opcode) => sum + lengthOf(opcode), rest?.length ?? 0),
      block,
      rest,
    });
  }
  return { ...known.get(header), blocks };
}

function count(path) {
  const opcodes = [];
  for (let part = path; part !== undefined; part = part.rest)
    opcodes.push(...path.blocks[part.block].opcodes);
  const row = { all: opcodes.length };
  for (const [kind, pattern] of kinds) row[kind] = opcodes.filter((opcode) => pattern.test(opcode)).length;
  return row;
}

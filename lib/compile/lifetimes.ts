import {
  type Program,
  type Value,
  type ValueKind,
  definitionOf,
  persistentTargets,
  producersOf,
  requiredAliases,
  valueBytes,
} from '../graph/index.js';
import { type Span, groupSpans } from './group-spans.js';
import type { WorkspaceBytes } from './workspaces.js';

/** Offsets of values and workspaces are multiples of this many bytes. */
export const alignmentBytes = 256;

export const aligned = (bytes: number): number => Math.ceil(bytes / alignmentBytes) * alignmentBytes;

/** A stretch of arena that is in use from one instruction to another (inclusive). */
export interface Block {
  readonly bytes: number; // aligned
  readonly first: number;
  readonly last: number;
}

/** Values that share memory, one after the other: each but the first was made in place of the one before. */
export interface Storage extends Block {
  readonly values: readonly Value[];
}

export interface Workspace extends Block {
  readonly kind: ValueKind;
  /** What the kernel asked for. */
  readonly rawBytes: number;
}

export interface Lifetimes {
  readonly storages: readonly Storage[];
  /** Of each instruction. */
  readonly workspaces: readonly Workspace[];
  /** The group of each instruction. */
  readonly spans: readonly Span[];
  /** New states of persistent values, and whose memory they are. */
  readonly persistent: ReadonlyMap<Value, Value>;
  /** Largest sum of bytes in use at one instruction: no layout can need less. */
  readonly lowerBoundBytes: number;
}

/**
 * Finds which values share memory, and from when to when memory is in use. Members of a group may run at the same time:
 * what one of them reads, writes or works in is in use from the first to the last.
 * @param preparedOps ops whose workspace is prepared beside the instruction before, where that costs no memory
 */
export function lifetimes(
  program: Program,
  workspaceBytes: WorkspaceBytes,
  preparedOps: ReadonlySet<string> = new Set(),
): Lifetimes {
  const { nodes } = program;
  const spans = groupSpans(nodes.map((node) => ({ joinsPrevious: program.joined?.has(node) ?? false })));
  const storages = shareInPlace(program, spans);
  const workspaces = nodes.map((node, index): Workspace => {
    const rawBytes = workspaceBytes(node);
    const { workspaceKind: kind = 'workspace' } = definitionOf(node);
    return { bytes: aligned(rawBytes), rawBytes, kind, ...spans[index]! };
  });
  const live = liveBytes([...storages, ...workspaces], nodes.length);
  const lowerBoundBytes = Math.max(0, ...live);
  return {
    storages,
    workspaces: workspaces.map((workspace, index) => {
      const before = spans[index - 1];
      // Of a group the first alone is prepared.
      if (before === undefined || before === spans[index] || !preparedOps.has(nodes[index]!.op))
        return workspace;
      const during = live.subarray(before.first, before.last + 1);
      if (during.some((bytes) => bytes + workspace.bytes > lowerBoundBytes)) return workspace;
      for (const moment of during.keys()) during[moment]! += workspace.bytes;
      return { ...workspace, first: before.first };
    }),
    spans,
    persistent: persistentTargets(nodes),
    lowerBoundBytes,
  };
}

/** Bytes in use at each of `length` instructions. */
export function liveBytes(blocks: readonly Block[], length: number): Float64Array {
  const live = new Float64Array(length);
  for (const { bytes, first, last } of blocks) {
    live[first]! += bytes;
    if (last + 1 < length) live[last + 1]! -= bytes;
  }
  for (let moment = 1; moment < length; moment++) live[moment]! += live[moment - 1]!;
  return live;
}

interface Growing {
  readonly values: Value[];
  readonly bytes: number;
  readonly first: number;
  last: number;
  /** Written by the caller before the run, or read after it: never given to another value. */
  readonly isFixed: boolean;
}

function shareInPlace({ nodes, outputs }: Program, spans: readonly Span[]): Storage[] {
  const end = nodes.length - 1;
  const producers = producersOf(nodes);
  const results = new Set(outputs.values());
  const lastReads = new Map<Value, number>();
  for (const [index, node] of nodes.entries()) {
    for (const input of node.inputs) if (input !== undefined) lastReads.set(input, index);
  }
  const storageOf = new Map<Value, Growing>();
  const storages: Growing[] = [];
  const place = (value: Value, span: Span, isInput = false) => {
    const bytes = aligned(valueBytes(value));
    const isFixed = isInput || results.has(value);
    const last = results.has(value) ? end : span.last;
    const storage: Growing = { values: [value], bytes, first: isInput ? 0 : span.first, last, isFixed };
    storageOf.set(value, storage);
    storages.push(storage);
  };
  const takeOver = (value: Value, storage: Growing, span: Span) => {
    storage.values.push(value);
    storage.last = results.has(value) ? end : Math.max(storage.last, span.last);
    storageOf.set(value, storage);
  };

  for (const [index, node] of nodes.entries()) {
    const span = spans[index]!;
    const otherMembers = nodes.slice(span.first, index); // later ones would have the last read
    for (const input of node.inputs) {
      if (input === undefined || input.persistent) continue;
      if (!producers.has(input) && !storageOf.has(input)) place(input, span, true);
      const storage = storageOf.get(input);
      if (storage !== undefined) storage.last = Math.max(storage.last, span.last);
    }
    const required = new Map(requiredAliases(node));
    const taken = new Set<Value>();
    for (const [position, output] of node.outputs.entries()) {
      if (output.persistent) continue;
      const target = required.get(output);
      if (target !== undefined) {
        const storage = storageOf.get(target);
        // Without one it is the memory of a persistent value.
        if (storage !== undefined) takeOver(output, storage, span);
        continue;
      }
      const dying = results.has(output)
        ? undefined
        : definitionOf(node)
            .inPlace.filter(([candidate]) => candidate === position)
            .map(([, input]) => node.inputs[input])
            .find((input) => {
              if (input === undefined || taken.has(input) || lastReads.get(input) !== index) return false;
              if (otherMembers.some(({ inputs }) => inputs.includes(input))) return false;
              const storage = storageOf.get(input);
              return storage !== undefined && !storage.isFixed && valueBytes(input) === valueBytes(output);
            });
      if (dying === undefined) {
        place(output, span);
        continue;
      }
      taken.add(dying);
      takeOver(output, storageOf.get(dying)!, span);
    }
  }
  return storages;
}

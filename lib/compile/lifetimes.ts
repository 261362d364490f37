import { type Value, type ValueKind, valueBytes } from '../graph/index.js';
import { type Program, definitionOf, persistentTargets, requiredAliases } from './program.js';
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
  /** New states of persistent values, and whose memory they are. */
  readonly persistent: ReadonlyMap<Value, Value>;
  /** Largest sum of bytes in use at one instruction: no layout can need less. */
  readonly lowerBoundBytes: number;
}

const workspaceKinds: Readonly<Record<string, ValueKind>> = {
  linearCrossEntropy: 'logits',
  linearCrossEntropyBackward: 'logits',
  project: 'projectionScratch',
  projectBackUpdate: 'projectionScratch',
  projectTransfer: 'projectionScratch',
};

/**
 * Finds which values share memory, and from when to when memory is in use.
 * @param preparedOps ops whose workspace is prepared beside the instruction before, where that costs no memory
 */
export function lifetimes(
  program: Program,
  workspaceBytes: WorkspaceBytes,
  preparedOps: ReadonlySet<string> = new Set(),
): Lifetimes {
  const { nodes } = program;
  const storages = shareInPlace(program);
  const workspaces = nodes.map((node, index): Workspace => {
    const rawBytes = workspaceBytes(node);
    const kind = workspaceKinds[node.op] ?? 'workspace';
    return { bytes: aligned(rawBytes), rawBytes, kind, first: index, last: index };
  });
  const live = liveBytes([...storages, ...workspaces], nodes.length);
  const lowerBoundBytes = Math.max(0, ...live);
  return {
    storages,
    workspaces: workspaces.map((workspace, index) => {
      if (index === 0 || !preparedOps.has(nodes[index]!.op)) return workspace;
      if (live[index - 1]! + workspace.bytes > lowerBoundBytes) return workspace;
      live[index - 1]! += workspace.bytes;
      return { ...workspace, first: index - 1 };
    }),
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

function shareInPlace({ nodes, outputs }: Program): Storage[] {
  const end = nodes.length - 1;
  const results = new Set(outputs.values());
  const lastReads = new Map<Value, number>();
  for (const [index, node] of nodes.entries()) {
    for (const input of node.inputs) if (input !== undefined) lastReads.set(input, index);
  }
  const storageOf = new Map<Value, Growing>();
  const storages: Growing[] = [];
  const place = (value: Value, first: number) => {
    const bytes = aligned(valueBytes(value));
    const isFixed = first < 0 || results.has(value);
    const last = results.has(value) ? end : Math.max(first, 0);
    const storage: Growing = { values: [value], bytes, first: Math.max(first, 0), last, isFixed };
    storageOf.set(value, storage);
    storages.push(storage);
  };
  const takeOver = (value: Value, storage: Growing, index: number) => {
    storage.values.push(value);
    storage.last = results.has(value) ? end : Math.max(storage.last, index);
    storageOf.set(value, storage);
  };

  for (const [index, node] of nodes.entries()) {
    for (const input of node.inputs) {
      if (input === undefined || input.persistent) continue;
      if (input.producer === undefined && !storageOf.has(input)) place(input, -1);
      const storage = storageOf.get(input);
      if (storage !== undefined) storage.last = Math.max(storage.last, index);
    }
    const required = new Map(requiredAliases(node));
    const taken = new Set<Value>();
    for (const [position, output] of node.outputs.entries()) {
      if (output.persistent) continue;
      const target = required.get(output);
      if (target !== undefined) {
        const storage = storageOf.get(target);
        // Without one it is the memory of a persistent value.
        if (storage !== undefined) takeOver(output, storage, index);
        continue;
      }
      const dying = results.has(output)
        ? undefined
        : definitionOf(node)
            .inPlace?.filter(([candidate]) => candidate === position)
            .map(([, input]) => node.inputs[input])
            .find((input) => {
              if (input === undefined || taken.has(input) || lastReads.get(input) !== index) return false;
              const storage = storageOf.get(input);
              return storage !== undefined && !storage.isFixed && valueBytes(input) === valueBytes(output);
            });
      if (dying === undefined) {
        place(output, index);
        continue;
      }
      taken.add(dying);
      takeOver(output, storageOf.get(dying)!, index);
    }
  }
  return storages;
}

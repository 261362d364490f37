import { markdownTable } from './tables.js';

/** What ptxas said of a kernel (scripts/check-cuda-kernels.cjs), by architecture. */
export interface KernelResources {
  readonly source: string;
  readonly kernel: string;
  readonly hot: boolean;
  readonly sharedBytes: number;
  readonly registers: Readonly<Record<string, number>>;
  readonly localBytes: Readonly<Record<string, number>>;
}

/** Registers of a thread of the hot kernels; + bytes of local memory where there are any. */
export function resourceTable(kernels: readonly KernelResources[]): string {
  const hot = kernels.filter((kernel) => kernel.hot);
  if (hot.length === 0) return 'Not built where this page was written.';
  const architectures = [...new Set(hot.flatMap(({ registers }) => Object.keys(registers)))];
  const lines = hot.map(({ source, kernel, sharedBytes, registers, localBytes }) => [
    `\`${kernel}\``,
    source,
    String(sharedBytes),
    ...architectures.map(
      (name) => `${registers[name] ?? ''}${(localBytes[name] ?? 0) > 0 ? ` + ${localBytes[name]}` : ''}`,
    ),
  ]);
  return markdownTable(['kernel', 'source', 'shared', ...architectures.map((name) => `sm_${name}`)], lines);
}

/** Instructions of a loop by kind, and what a kernel takes of a multiprocessor (scripts/cuda-kernels). */
export interface LoopCounts {
  readonly loop: string;
  readonly of: string;
  readonly sharedBytes: number;
  readonly counts: Readonly<Record<string, MachineCode>>;
}

interface MachineCode {
  readonly all: number;
  readonly 'tensor core': number;
  readonly LDSM: number;
  readonly 'async copy': number;
  readonly global: number;
  readonly shared: number;
  readonly registers: number;
  /** Warps that a multiprocessor holds at a time, of those that it could hold. */
  readonly occupancy: number;
}

/** Instructions of hot loops; their kinds, registers and shared memory are those of 9.0. */
export function countTable(loops: readonly LoopCounts[]): string {
  const architectures = Object.keys(loops[0]?.counts ?? {});
  const kinds = ['tensor core', 'LDSM', 'async copy', 'global', 'shared'] as const;
  const cell = (code: MachineCode | undefined): string =>
    code === undefined ? '' : `${code.all}, ${Math.round(100 * code.occupancy)} %`;
  const lines = loops.map(({ loop, of, sharedBytes, counts }) => [
    loop,
    of,
    ...architectures.map((name) => cell(counts[name])),
    ...kinds.map((kind) => String(counts['90a']?.[kind] ?? '')),
    String(counts['90a']?.registers ?? ''),
    String(sharedBytes),
  ]);
  const heads = ['loop', 'of', ...architectures.map((name) => `sm_${name}`), ...kinds];
  return markdownTable([...heads, 'registers', 'shared bytes'], lines);
}

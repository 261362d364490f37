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

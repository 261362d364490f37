import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { packageDirectory } from '../package-info.js';
import type { BenchDevice } from './device.js';
import { thisMachine } from './machine.js';

/** What every row of a ledger says; appended as one line of JSON with machine, versions, commit and date. */
export interface LedgerCase {
  readonly case: string; // e.g. 'step-time', 'matmul'
  readonly provider: string; // e.g. 'compact n/4, lazy', 'torch 2.13 eager'
  readonly metric: string;
  readonly unit: string;
  readonly shape: string; // e.g. 'llama-60m 4x256'
  readonly dtype: string;
}

/** One measured figure, as `--ledger FILE` of most benchmarks appends it. */
export interface LedgerRow extends LedgerCase {
  readonly p20: number;
  readonly p50: number;
  readonly p80: number;
  readonly repeats: number;
  /** Of a step: the median of its ratios to dense steps beside it. */
  readonly ofDense?: number;
}

export function appendToLedger(file: string, rows: readonly LedgerCase[], device: BenchDevice): void {
  const { version, node, cpu, gpu, cores, threads, instructionSet } = thisMachine(device);
  const context = {
    device: gpu ?? cpu,
    cores,
    threads,
    instructionSet,
    versions: { 'compact-train': version, node },
    commit: currentCommit(),
    date: new Date().toISOString(),
  };
  appendFileSync(file, rows.map((row) => `${JSON.stringify({ ...row, ...context })}\n`).join(''));
}

function currentCommit(): string | undefined {
  try {
    const options = { cwd: packageDirectory, stdio: 'pipe' } as const;
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], options).toString().trim();
  } catch {
    return undefined; // not a checkout
  }
}

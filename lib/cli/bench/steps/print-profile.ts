import { formatBytes, formatPercent } from '../../format.js';
import { renderTable } from '../../table.js';
import type { Terminal } from '../../terminal.js';
import type { DeviceLimits } from './device-limits.js';
import type { StepProfile } from './op-profile.js';

/** Where the time of a step goes, as a table: longest first, the sum last. */
export function printProfile(
  terminal: Terminal,
  title: string,
  { operations, total, stepMs, explained }: StepProfile,
  limits: DeviceLimits | undefined,
): void {
  terminal.line(`\n${terminal.style('bold', title)}`);
  const right = { align: 'right' } as const;
  const columns = [
    { title: 'operation' },
    { title: 'phase' },
    ...['calls', 'ms', 'share', 'GFLOP', 'GFLOP/s', 'bytes', 'GB/s', 'of limit'].map((name) => ({
      title: name,
      ...right,
    })),
  ];
  const rows = [...operations, { op: 'all', phase: '', calls: sumOfCalls(operations), ...total }].map(
    ({ op, phase, calls, ms, share, flops, bytes, ofLimit }) => [
      op,
      phase,
      String(calls),
      ms.toFixed(2),
      formatPercent(share),
      flops === 0 ? '' : (flops / 1e9).toFixed(2),
      flops === 0 ? '' : (flops / ms / 1e6).toFixed(1),
      formatBytes(bytes),
      (bytes / ms / 1e6).toFixed(1),
      ofLimit === undefined ? '' : formatPercent(ofLimit),
    ],
  );
  terminal.line(renderTable(columns, rows));
  terminal.line(`Operations are ${formatPercent(explained)} of the step of ${stepMs.toFixed(2)} ms.`);
  terminal.line(describeLimits(limits));
}

const sumOfCalls = (operations: StepProfile['operations']): number =>
  operations.reduce((sum, { calls }) => sum + calls, 0);

function describeLimits(limits: DeviceLimits | undefined): string {
  if (limits === undefined) return 'The limits of this device are not known: no share of them is given.';
  const { source, flopsPerSecond, bytesPerSecond } = limits;
  const rate = (perSecond: number): string => (perSecond / 1e9).toFixed(0);
  return (
    `Limits (${source}): ${rate(flopsPerSecond.f32)} GFLOP/s f32, ${rate(flopsPerSecond.bf16)} GFLOP/s bf16, ` +
    `${rate(bytesPerSecond)} GB/s. A share above 100 % was served from cache.`
  );
}

import { quantiles } from '../../lib/cli/bench/quantiles.js';
import { timeSteps, type StepTimingOptions } from '../../lib/cli/bench/steps/step-runner.js';

/**
 * How much of a step a GPU spends between its kernels. Steps are run one behind another, so that the host's work is
 * hidden where it can be, and timed from the end of one to the end of the next.
 */
export interface LaunchGaps {
  /** Median step with one launch for every kernel. */
  readonly plainMs: number;
  /** Median step with one launch for all of them (a graph). */
  readonly recordedMs: number;
  /** Sum over the instructions of a profiled step, each timed by events of the device, nothing prepared beside others. */
  readonly opsMs: number;
  /**
   * 1 - opsMs / the shorter of the two steps: what no operation accounts for, as a share of the step. Below zero where
   * what runs side by side saves more than the gaps cost.
   */
  readonly share: number;
}

export async function measureLaunchGaps(options: StepTimingOptions): Promise<LaunchGaps> {
  const medianMs = async (graphs: 'on' | 'off'): Promise<number> =>
    quantiles((await timeSteps({ ...options, graphs })).msPerStep).p50;
  const plainMs = await medianMs('off');
  const recordedMs = await medianMs('on');
  const { profileUs } = await timeSteps({ ...options, profile: true });
  const opsMs = profileUs!.reduce((sum, us) => sum + us / 1000, 0);
  return { plainMs, recordedMs, opsMs, share: 1 - opsMs / Math.min(plainMs, recordedMs) };
}

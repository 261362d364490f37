import type { Plan } from '../../compile/index.js';
import type { Model } from '../../models/index.js';
import {
  type BlasChoice,
  Engine,
  type EngineMemory,
  type EntryGraphs,
  type GraphChoice,
  type RunResult,
} from '../../runtime/index.js';

export interface StepTimes {
  readonly msPerStep: readonly number[];
  /** Microseconds of each instruction, means over the steps, when profiling. */
  readonly profileUs: readonly number[] | undefined;
  readonly memory: EngineMemory;
  /** How the steps ran; undefined where there are no graphs. */
  readonly graphs: EntryGraphs | undefined;
}

export interface StepTimingOptions {
  readonly plan: Plan;
  readonly model: Model;
  readonly sequenceLength: number;
  readonly numTokens: number; // of one step
  /** 'cpu' or 'cuda:N'. */
  readonly device: string;
  readonly threads: number | undefined;
  readonly blas?: BlasChoice;
  readonly graphs?: GraphChoice;
  readonly warmupSteps: number;
  readonly steps: number;
  readonly profile?: boolean;
}

/** Runs of an entry until 'auto' has chosen between graphs and none. */
const undecidedRuns = 8;

/**
 * Runs whole training steps on random tokens, each queued behind the one before, and times them on the engine's own
 * clock.
 */
export async function timeSteps(options: StepTimingOptions): Promise<StepTimes> {
  const { plan, model, device, threads, blas, graphs = 'auto', steps, profile = false } = options;
  await using engine = await Engine.open({ device, threads, blas, graphs });
  const isUndecided = engine.device.kind !== 'cpu' && graphs === 'auto' && !profile;
  const warmupSteps = isUndecided ? Math.max(options.warmupSteps, undecidedRuns) : options.warmupSteps;
  await engine.load(plan);
  for (const [name, table] of Object.entries(model.constants(options.sequenceLength)))
    await engine.write(name, table);
  await engine.run('initialize');
  const inputs = randomBatch(options.numTokens, model.vocabularySize);
  const msPerStep: number[] = [];
  const profiles: Float64Array[] = [];
  const run = (step: number): Promise<RunResult> => {
    const scalars = {
      learningRate: 1e-4,
      step,
      firstMomentStep: step,
      secondMomentStep: step,
      projectionEpoch: 0,
      previousProjectionEpoch: 0,
      accumulate: 0,
      lossScale: 1 / options.numTokens,
    };
    return engine.run('step', { inputs, scalars, profile });
  };
  const last = warmupSteps + steps;
  let next = run(1);
  for (let step = 1; step <= last; step++) {
    const current = next;
    if (step < last) {
      next = run(step + 1);
      next.catch(() => undefined); // told when its turn comes
    }
    const { durationMs, profileUs } = await current;
    if (step <= warmupSteps) continue;
    msPerStep.push(durationMs);
    if (profileUs !== undefined) profiles.push(profileUs);
  }
  const mean = (index: number): number => profiles.reduce((sum, us) => sum + us[index]!, 0) / profiles.length;
  const memory = engine.memory();
  return {
    msPerStep,
    memory,
    graphs: engine.graphs().find(({ entry }) => entry === 'step'),
    profileUs: profile ? Array.from(profiles[0]!, (_, index) => mean(index)) : undefined,
  };
}

/** Token ids from a small linear congruential generator: the same batch in every run. */
export function randomBatch(
  count: number,
  vocabularySize: number,
): { tokens: Int32Array; targets: Int32Array } {
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabularySize);
  };
  return {
    tokens: Int32Array.from({ length: count }, next),
    targets: Int32Array.from({ length: count }, next),
  };
}

import type { Plan } from '../../compile/index.js';
import type { Model } from '../../models/index.js';
import { type BlasChoice, Engine, type EngineMemory } from '../../runtime/index.js';

export interface StepTimes {
  readonly msPerStep: readonly number[];
  /** Microseconds of each instruction, means over the steps, when profiling. */
  readonly profileUs: readonly number[] | undefined;
  readonly memory: EngineMemory;
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
  readonly warmupSteps: number;
  readonly steps: number;
  readonly profile?: boolean;
}

/** Runs whole training steps on random tokens and times them on the engine's own clock. */
export async function timeSteps(options: StepTimingOptions): Promise<StepTimes> {
  const { plan, model, device, threads, warmupSteps, steps, profile = false } = options;
  await using engine = await Engine.open({ device, threads, blas: options.blas });
  await engine.load(plan);
  for (const [name, table] of Object.entries(model.constants(options.sequenceLength)))
    await engine.write(name, table);
  await engine.run('initialize');
  const inputs = randomBatch(options.numTokens, model.vocabularySize);
  const msPerStep: number[] = [];
  const profiles: Float64Array[] = [];
  for (let step = 1; step <= warmupSteps + steps; step++) {
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
    const { durationMs, profileUs } = await engine.run('step', { inputs, scalars, profile });
    if (step <= warmupSteps) continue;
    msPerStep.push(durationMs);
    if (profileUs !== undefined) profiles.push(profileUs);
  }
  const mean = (index: number): number => profiles.reduce((sum, us) => sum + us[index]!, 0) / profiles.length;
  const memory = engine.memory();
  return {
    msPerStep,
    memory,
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

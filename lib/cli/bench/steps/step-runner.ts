import type { Plan } from '../../../compile/index.js';
import { StepClock, type Method } from '../../../methods/index.js';
import type { Model } from '../../../models/index.js';
import {
  type BlasChoice,
  Engine,
  type EngineMemory,
  type EntryGraphs,
  type GraphChoice,
  type RunResult,
} from '../../../runtime/index.js';

export interface StepTimes {
  readonly msPerStep: readonly number[];
  /** Of every step, the warm-up ones included: all on the same batch. */
  readonly losses: readonly number[];
  /** Microseconds of each instruction, means over the steps, when profiling. */
  readonly profileUs: readonly number[] | undefined;
  readonly memory: EngineMemory;
  /** How the steps ran; undefined where there are no graphs. */
  readonly graphs: EntryGraphs | undefined;
}

export interface StepTimingOptions {
  readonly plan: Plan;
  readonly model: Model;
  readonly method: Method;
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

export type EngineOptions = Omit<StepTimingOptions, 'warmupSteps' | 'steps' | 'profile'>;

/** An engine that trains on one batch of random tokens, again and again. */
class StepEngine implements AsyncDisposable {
  readonly engine: Engine;
  readonly #inputs: ReturnType<typeof randomBatch>;
  readonly #numTokens: number;
  readonly #clock: StepClock;

  private constructor(engine: Engine, { numTokens, model, method }: EngineOptions) {
    this.engine = engine;
    this.#numTokens = numTokens;
    this.#clock = new StepClock(method);
    this.#inputs = randomBatch(model, numTokens);
  }

  static async open(options: EngineOptions): Promise<StepEngine> {
    const { plan, model, device, threads, blas, graphs = 'auto', sequenceLength } = options;
    const engine = await Engine.open({ device, threads, blas, graphs });
    try {
      await engine.load(plan);
      for (const [name, table] of Object.entries(model.constants(sequenceLength)))
        await engine.write(name, table);
      await engine.run('initialize');
      if (plan.entries['prepare'] !== undefined) await engine.run('prepare');
    } catch (error) {
      await engine.close();
      throw error;
    }
    return new StepEngine(engine, options);
  }

  /** Queues the next step. */
  run(profile = false): Promise<RunResult> {
    const scalars = {
      ...this.#clock.scalars,
      learningRate: 1e-4,
      accumulate: 0,
      lossScale: 1 / this.#numTokens,
    };
    const { variant } = this.#clock;
    this.#clock.completeStep();
    return this.engine.run(variant === undefined ? 'step' : `step:${variant}`, {
      inputs: this.#inputs,
      scalars,
      profile,
    });
  }

  /** Steps that are not to be timed: as many as asked for, or until it is settled how steps run. */
  warmupSteps({ graphs = 'auto' }: EngineOptions, asked: number): number {
    const isUndecided = this.engine.device.kind !== 'cpu' && graphs === 'auto';
    return isUndecided ? Math.max(asked, undecidedRuns) : asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close();
  }
}

/**
 * Runs whole training steps on random tokens, each queued behind the one before, and times them on the engine's own
 * clock.
 */
export async function timeSteps(options: StepTimingOptions): Promise<StepTimes> {
  const { steps, profile = false } = options;
  await using trained = await StepEngine.open(options);
  const warmupSteps = profile ? options.warmupSteps : trained.warmupSteps(options, options.warmupSteps);
  const msPerStep: number[] = [];
  const losses: number[] = [];
  const profiles: Float64Array[] = [];
  const last = warmupSteps + steps;
  let next = trained.run(profile);
  for (let step = 1; step <= last; step++) {
    const current = next;
    if (step < last) {
      next = trained.run(profile);
      next.catch(() => undefined); // told when its turn comes
    }
    const { durationMs, profileUs, outputs } = await current;
    losses.push(Number(outputs['loss']![0]));
    if (step <= warmupSteps) continue;
    msPerStep.push(durationMs);
    if (profileUs !== undefined) profiles.push(profileUs);
  }
  const mean = (index: number): number => profiles.reduce((sum, us) => sum + us[index]!, 0) / profiles.length;
  const { engine } = trained;
  return {
    msPerStep,
    losses,
    memory: engine.memory(),
    graphs: engine.graphs().find(({ entry }) => entry === 'step'),
    profileUs: profile ? Array.from(profiles[0]!, (_, index) => mean(index)) : undefined,
  };
}

/** Something that trains, a step at a time. */
export interface Stepper extends AsyncDisposable {
  /** @returns milliseconds */
  step(): Promise<number>;
}

/** A stepper on an engine. */
export interface EngineStepper extends Stepper {
  readonly memory: EngineMemory;
}

/** An engine whose first steps, which take longer, are over. */
export async function openStepper(options: EngineOptions): Promise<EngineStepper> {
  const trained = await StepEngine.open(options);
  try {
    for (let step = 0; step < trained.warmupSteps(options, 1); step++) await trained.run();
  } catch (error) {
    await trained[Symbol.asyncDispose]();
    throw error;
  }
  return {
    step: async () => (await trained.run()).durationMs,
    memory: trained.engine.memory(),
    [Symbol.asyncDispose]: () => trained[Symbol.asyncDispose](),
  };
}

/**
 * Times two ways of training step by step in turns, so that whatever else the machine does meets both.
 * @returns milliseconds of both, a pair for each of `steps`
 */
export async function timeInTurns(
  first: Stepper,
  second: Stepper,
  steps: number,
): Promise<readonly (readonly [number, number])[]> {
  const pairs: [number, number][] = [];
  for (let step = 0; step < steps; step++) {
    const isReversed = step % 2 === 1;
    const early = await (isReversed ? second : first).step();
    const late = await (isReversed ? first : second).step();
    pairs.push(isReversed ? [late, early] : [early, late]);
  }
  return pairs;
}

/** Ids from a small linear congruential generator, one for each token and field: the same batch in every run. */
export function randomBatch(
  { batchFields }: Pick<Model, 'batchFields'>,
  numTokens: number,
): Record<string, Int32Array> {
  let state = 1;
  const fields = batchFields.map(({ name, numIds = 2 }) => {
    const next = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * numIds);
    };
    return [name, Int32Array.from({ length: numTokens }, next)] as const;
  });
  return Object.fromEntries(fields);
}

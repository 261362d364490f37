import { compile, type RecomputePolicy } from '../../../compile/index.js';
import { memoryReport } from '../../../memory/index.js';
import { methodFromDescription } from '../../../methods/index.js';
import { loadModel } from '../../../train/weights/load-model.js';
import type { KindBytes } from '../charts/palette.js';
import type { BenchDevice } from '../device.js';
import { quantiles } from '../quantiles.js';
import { openStepper, timeInTurns, type EngineOptions } from '../steps/step-runner.js';
import { denseMethod, type DemoMethod } from '../training/demo-recipe.js';

/** What a training step of a method holds and takes; what it learns does not depend on what backward rebuilds. */
export interface StepCost {
  readonly variant: string;
  readonly recompute: RecomputePolicy;
  readonly peakBytes: number;
  /** At the moment of the peak; sums to `peakBytes`. */
  readonly byKind: KindBytes;
  /** What an engine that made these steps has allocated. */
  readonly allocatedBytes: number;
  /** Time of a step as a ratio to a plain dense one beside it: the median over pairs of steps. */
  readonly timeOfDense: number;
  readonly tokensPerSecond: number;
}

/** What is stepped: one micro-batch. */
export interface StepSize {
  /** A preset, or the path of a config.json or of its folder. */
  readonly model: string;
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly dtype: 'f32' | 'bf16';
}

const policies: readonly RecomputePolicy[] = ['none', 'cheap', 'layer'];
/** Plain dense training steps beside each, so often. */
const pairsOfRound = 4;

/**
 * Plans and times a step of every method, dense first, as it is and with both kinds of recompute. A policy that gives the
 * same plan as the one before it is left out: there was nothing to rebuild.
 */
export async function stepCosts(
  methods: readonly Pick<DemoMethod, 'variant' | 'options'>[],
  size: StepSize,
  { device, threads, rounds }: { device: BenchDevice; threads: number | undefined; rounds: number },
  onStep: (variant: string, recompute: RecomputePolicy) => void,
): Promise<readonly StepCost[]> {
  const others = methods.filter(({ variant }) => variant !== denseMethod.variant);
  const ways = [denseMethod, ...others].flatMap((method) => waysOf(method, size, device, threads));
  const plain = ways[0]!;
  const costs: StepCost[] = [];
  for (const { variant, recompute, engine } of ways) {
    onStep(variant, recompute);
    await using dense = await openStepper(plain.engine);
    await using own = await openStepper(engine);
    const pairs = await timeInTurns(dense, own, pairsOfRound * rounds);
    const isPlain = engine === plain.engine;
    const milliseconds = quantiles(pairs.map(([, ms]) => ms)).p50;
    costs.push({
      variant,
      recompute,
      peakBytes: engine.plan.peakBytes,
      byKind: memoryReport(engine.plan).byKind,
      allocatedBytes: own.memory.allocatedBytes,
      timeOfDense: isPlain ? 1 : quantiles(pairs.map(([denseMs, ms]) => ms / denseMs)).p50,
      tokensPerSecond: (1000 * engine.numTokens) / milliseconds,
    });
  }
  return costs;
}

interface Way extends Pick<StepCost, 'variant' | 'recompute'> {
  readonly engine: EngineOptions;
}

function waysOf(
  { variant, options }: Pick<DemoMethod, 'variant' | 'options'>,
  { model: word, batchSize, sequenceLength, dtype }: StepSize,
  { word: device, target }: BenchDevice,
  threads: number | undefined,
): Way[] {
  const model = loadModel(word);
  const method = methodFromDescription(options);
  const shape = { model, method, target, batchSize, sequenceLength, dtype } as const;
  const ways = policies.map((recompute): Way => {
    const plan = compile({ ...shape, recompute, entries: ['initialize', 'train'] });
    const numTokens = batchSize * sequenceLength;
    return {
      variant,
      recompute,
      engine: { plan, model, method, sequenceLength, numTokens, device, threads },
    };
  });
  return ways.filter(({ engine }, index) => engine.plan.peakBytes !== ways[index - 1]?.engine.plan.peakBytes);
}

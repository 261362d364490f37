import { compile, type CompileOptions } from '../../../compile/index.js';
import { loadModel } from '../../../train/index.js';
import type { BlasChoice, GraphChoice } from '../../../runtime/index.js';
import type { BenchDevice } from '../device.js';
import type { DeviceLimits } from './device-limits.js';
import { opProfile, type StepProfile } from './op-profile.js';
import { quantiles } from '../quantiles.js';
import { type EngineOptions, openStepper, type Stepper, timeInTurns, timeSteps } from './step-runner.js';
import { TorchPeer, type TorchPeerOptions, type TorchVariant } from './torch-peer.js';

/** What was measured of one way of training. */
export class Timing {
  readonly provider: string;
  readonly msPerStep: number[] = [];
  /** Times of single steps over those of dense training beside it. */
  readonly #ofDense: number[] = [];
  readonly #open: () => Promise<Stepper>;

  constructor(provider: string, open: () => Promise<Stepper>) {
    this.provider = provider;
    this.#open = open;
  }

  /** Steps of dense training and of this one in turns. */
  async runBeside(dense: Timing): Promise<void> {
    await using first = await dense.#open();
    await using second = await this.#open();
    for (const [denseMs, ownMs] of await timeInTurns(first, second, 4)) {
      dense.msPerStep.push(denseMs);
      this.msPerStep.push(ownMs);
      this.#ofDense.push(ownMs / denseMs);
    }
  }

  /** 1 for dense training itself. */
  medianOfDense(): number {
    return this.#ofDense.length === 0 ? 1 : quantiles(this.#ofDense).p50;
  }
}

export interface OwnCaseFlags {
  readonly model: string;
  readonly batch: number;
  readonly sequence: number;
  readonly blas: BlasChoice;
  readonly graphs: GraphChoice;
}

/** A method of this package, on engines that live for one round. */
export class OwnCase {
  readonly timing: Timing;
  readonly #options: EngineOptions;

  constructor(
    name: string,
    training: Pick<CompileOptions, 'method' | 'recompute' | 'dtype'>,
    flags: OwnCaseFlags,
    device: BenchDevice,
    threads: number,
  ) {
    const model = loadModel(flags.model);
    const sequenceLength = flags.sequence;
    const plan = compile({
      ...training,
      model,
      target: device.target,
      batchSize: flags.batch,
      sequenceLength,
      entries: ['initialize', 'train'],
    });
    const numTokens = flags.batch * sequenceLength;
    const { blas, graphs } = flags;
    const { method } = training;
    const { word } = device;
    this.#options = { plan, model, method, sequenceLength, numTokens, device: word, threads, blas, graphs };
    this.timing = new Timing(name, () => openStepper(this.#options));
  }

  async profile(limits: DeviceLimits | undefined): Promise<StepProfile> {
    const timed = await timeSteps({ ...this.#options, warmupSteps: 2, steps: 3, profile: true });
    return opProfile(this.#options.plan, timed, limits);
  }
}

/** A program of PyTorch, in one process for all rounds: it takes long to start. */
export class TorchCase {
  readonly timing: Timing;
  readonly #peer: TorchPeer;

  private constructor(provider: string, peer: TorchPeer) {
    this.#peer = peer;
    const stepper = { step: () => peer.step(), [Symbol.asyncDispose]: () => Promise.resolve() };
    this.timing = new Timing(provider, () => Promise.resolve(stepper));
  }

  static async start(version: string, variant: TorchVariant, options: TorchPeerOptions): Promise<TorchCase> {
    const provider = `torch ${version} ${variant.mode}, ${variant.loss} logits`;
    return new TorchCase(provider, await TorchPeer.start(variant, options));
  }

  close(): Promise<void> {
    return this.#peer[Symbol.asyncDispose]();
  }
}

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { compactError } from '../../../errors.js';
import type { LlamaConfig } from '../../../models/index.js';
import { loadModel } from '../../../train/index.js';
import { packageDirectory } from '../../package-info.js';
import type { Stepper } from './step-runner.js';

const script = join(packageDirectory, 'bench', 'peers', 'cell.py');

/** Tokens whose logits exist at once: all, as plain PyTorch code has them, or as many as here. */
const lossChunks = { full: 0, chunked: 1024 } as const;

export interface TorchVariant {
  readonly mode: 'eager' | 'compile';
  readonly loss: keyof typeof lossChunks;
}

export interface TorchPeerOptions {
  readonly model: string;
  readonly batch: number;
  readonly sequence: number;
  readonly threads: number;
  readonly dtype: 'f32' | 'bf16';
}

/** A line of what the peer program prints (bench/peers/cell.py). */
interface PeerLine {
  readonly ready?: true;
  readonly ms?: number;
  readonly skipped?: string;
  readonly failed?: string;
}

/** The version of PyTorch that is there, or why none can be asked. */
export async function findTorch(): Promise<{ readonly version: string } | { readonly missing: string }> {
  if (!existsSync(script))
    return { missing: 'the peer program comes with the repository, not with the package' };
  try {
    const command = ['-c', 'import torch; print(torch.__version__)'];
    const { stdout } = await promisify(execFile)('python3', command);
    return { version: stdout.trim() };
  } catch {
    return { missing: 'python3 with torch was not found' };
  }
}

/** What a LLaMA says of itself; other architectures have other words. */
type DescribedLlama = Required<Omit<LlamaConfig, 'attentionBias' | 'mlpBias' | 'headDim' | 'ropeScaling'>> &
  LlamaConfig & { readonly architecture: string };

/** A PyTorch process that trains the same model, a step whenever one is asked for. */
export class TorchPeer implements Stepper {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #lines: AsyncIterator<string>;

  private constructor(flags: Readonly<Record<string, string | number>>) {
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn('python3', [script, '--on-demand', ...words], { stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdin.on('error', () => undefined); // it has ended: the next line says why, or that there is none
    this.#child = child;
    this.#closed = once(child, 'close').catch(() => undefined);
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /**
   * Resolves when warm-up steps are over.
   * @throws {Error} where the program cannot run
   * @throws ERR_COMPACT_ARGUMENT for a model that it does not have
   */
  static async start({ mode, loss }: TorchVariant, options: TorchPeerOptions): Promise<TorchPeer> {
    const { model, batch, sequence, threads, dtype } = options;
    const { architecture, ...shape } = loadModel(model).describe() as unknown as DescribedLlama;
    const { attentionBias, mlpBias, headDim, ropeScaling } = shape;
    const isPlain = [attentionBias, mlpBias, headDim, ropeScaling].every((option) => option === undefined);
    const hasAllHeads = shape.numKeyValueHeads === shape.numAttentionHeads;
    if (architecture !== 'llama' || !isPlain || !hasAllHeads)
      throw compactError('ERR_COMPACT_ARGUMENT', 'the PyTorch program computes the first LLaMA only', {
        op: 'model',
        expected:
          'a LLaMA with a key and value head for each head, without biases, heads of another size and scaled positions',
        received: model,
      });
    const peer = new TorchPeer({
      vocab: shape.vocabSize,
      hidden: shape.hiddenSize,
      ffn: shape.intermediateSize,
      heads: shape.numAttentionHeads,
      layers: shape.numHiddenLayers,
      ...{ batch, sequence, threads, dtype, mode },
      chunk: lossChunks[loss],
      warmup: 3,
    });
    try {
      await peer.#read();
    } catch (error) {
      await peer[Symbol.asyncDispose]();
      throw error;
    }
    return peer;
  }

  async step(): Promise<number> {
    this.#child.stdin!.write('\n');
    return (await this.#read()).ms!;
  }

  async #read(): Promise<PeerLine> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the PyTorch process ended before its time');
    const line = JSON.parse(value) as PeerLine;
    if (line.ready === undefined && line.ms === undefined)
      throw new Error(line.failed ?? line.skipped ?? value);
    return line;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin!.end();
    await this.#closed;
  }
}

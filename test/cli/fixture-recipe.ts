import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** More steps than any test waits for. */
export const endlessSteps = 1_000_000;

/** A folder with a small corpus, and recipes for a model of one small layer in it. */
export class RecipeFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'compact-train-cli-'));
  readonly corpus = join(this.path, 'corpus.txt');
  #nextRun = 0;

  constructor() {
    const words = 'the quick brown fox jumps over the lazy dog and then again '.split(' ');
    const text = Array.from({ length: 4000 }, (_, i) => words[(i * 7 + (i >> 3)) % words.length]).join(' ');
    writeFileSync(this.corpus, text);
  }

  /** Writes a recipe; null leaves a key out. Returns its path and output folder. */
  recipe(options: Record<string, unknown> = {}): { path: string; output: string } {
    const name = `run-${this.#nextRun++}`;
    const output = join(this.path, name);
    const values = {
      model: {
        vocabSize: 257,
        hiddenSize: 32,
        intermediateSize: 64,
        numHiddenLayers: 1,
        numAttentionHeads: 2,
      },
      method: { name: 'compact', rankRatio: 0.5 },
      data: this.corpus,
      batchSize: 2,
      sequenceLength: 32,
      maxSteps: 4,
      learningRate: 0.01,
      threads: 1,
      loggingSteps: 1,
      outputDirectory: output,
      ...options,
    };
    const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
    const path = join(this.path, `${name}.yaml`);
    writeFileSync(path, JSON.stringify(given)); // JSON is YAML
    return { path, output };
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The objects that a command printed, one a line. */
export const objects = (stdout: string): Record<string, unknown>[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

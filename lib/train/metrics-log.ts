import { createReadStream } from 'node:fs';
import { appendFile, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { compactError } from '../errors.js';
import { writeAtomically } from '../formats/index.js';

/** A line of metrics.jsonl. */
export type Metrics = { readonly step: number } & Readonly<Record<string, number | string | undefined>>;

/** The history of a run as JSON lines, one history however often the run was interrupted and resumed. */
export class MetricsLog {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Keeps the lines up to `step`; later ones come from work that a resume does again. */
  static async open(path: string, step: number): Promise<MetricsLog> {
    await writeAtomically(path, async (temporaryPath) => {
      const file = await open(temporaryPath, 'wx');
      try {
        for await (const line of linesOf(path)) if (stepOf(line) <= step) await file.write(`${line}\n`);
      } finally {
        await file.close();
      }
    });
    return new MetricsLog(path);
  }

  /** @throws ERR_COMPACT_CHECKPOINT_WRITE */
  async write(metrics: Metrics): Promise<void> {
    try {
      await appendFile(this.#path, `${JSON.stringify(metrics)}\n`);
    } catch (cause) {
      throw compactError('ERR_COMPACT_CHECKPOINT_WRITE', `${this.#path} could not be written`, {
        received: (cause as Error).message,
        remedy: 'Earlier checkpoints are intact',
        cause,
      });
    }
  }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A line that was cut by a crash belongs to no step. */
function stepOf(line: string): number {
  try {
    return (JSON.parse(line) as Metrics).step;
  } catch {
    return Infinity;
  }
}

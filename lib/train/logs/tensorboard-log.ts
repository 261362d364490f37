import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  AppendFile,
  makeFolders,
  onPath,
  scalarsRecord,
  sessionStartRecord,
  versionRecord,
  writeNewFile,
} from '../../formats/index.js';
import type { MetricsSink, Metrics } from './metrics-log.js';

/** The history of a run as TensorBoard reads it: a file for each start; where a run was resumed the later file counts. */
export class TensorBoardLog implements MetricsSink {
  readonly #file: AppendFile;

  private constructor(file: AppendFile) {
    this.#file = file;
  }

  /**
   * Begins a file.
   * @param step that the run goes on from
   * @throws ERR_COMPACT_CHECKPOINT_WRITE
   */
  static async open(folder: string, step: number): Promise<TensorBoardLog> {
    await onPath('ERR_COMPACT_CHECKPOINT_WRITE', folder, () => makeFolders(folder));
    const now = Date.now() / 1000;
    // TensorBoard reads the files of a run in the order of their names.
    const name = `events.out.tfevents.${now.toFixed(3)}.${hostname()}.${process.pid}`;
    const path = join(folder, name);
    const start = Buffer.concat([versionRecord(now), sessionStartRecord(now, step + 1)]);
    await writeNewFile(path, (file) => file.writeFile(start));
    return new TensorBoardLog(new AppendFile(path, start.length));
  }

  /** @throws ERR_COMPACT_CHECKPOINT_WRITE */
  async write({ step, ...metrics }: Metrics): Promise<void> {
    const numbers = Object.entries(metrics).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    );
    const scalars = new Map(numbers.map(([name, value]) => [tagOf(name), value]));
    await this.#file.write(scalarsRecord(Date.now() / 1000, step, scalars));
  }

  /** @throws ERR_COMPACT_CHECKPOINT_WRITE */
  flush(): Promise<void> {
    return this.#file.flush();
  }
}

/** evalLoss is eval/loss, and what is not of evaluations is of training: the tags of transformers. */
function tagOf(name: string): string {
  const [, group = 'train', rest = name] = /^(eval)([A-Z].*)$/.exec(name) ?? [];
  const words = rest.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace(/^_/, '');
  return `${group}/${words}`;
}

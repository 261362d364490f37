import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { onPath, removeEmptyFolders, removeLeftovers, systemCode } from '../formats/index.js';

/** The tokenised text in a run's output folder. What a start that is refused has put there goes again. */
export class OutputData implements AsyncDisposable {
  readonly dataDirectory: string;
  /** Names that were there before; undefined once the run has started, from when on everything stays. */
  #before: ReadonlySet<string> | undefined;

  private constructor(dataDirectory: string, before: ReadonlySet<string>) {
    this.dataDirectory = dataDirectory;
    this.#before = before;
  }

  /** Only for the holder of the output folder's lock. */
  static async prepare(dataDirectory: string): Promise<OutputData> {
    await removeLeftovers(dataDirectory, true);
    return new OutputData(dataDirectory, new Set(await namesIn(dataDirectory)));
  }

  keep(): void {
    this.#before = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const before = this.#before;
    if (before === undefined) return;
    const made = (await namesIn(this.dataDirectory)).filter((name) => !before.has(name));
    await onPath('ERR_COMPACT_CHECKPOINT_WRITE', this.dataDirectory, () =>
      Promise.all(made.map((name) => rm(join(this.dataDirectory, name), { force: true }))),
    );
    if (before.size === 0) await removeEmptyFolders(this.dataDirectory, this.dataDirectory);
  }
}

const namesIn = (folder: string): Promise<readonly string[]> =>
  onPath('ERR_COMPACT_CHECKPOINT_READ', folder, () =>
    readdir(folder).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    }),
  );

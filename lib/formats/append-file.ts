import { appendFile, truncate } from 'node:fs/promises';
import { onPath } from './file-error.js';

/** A file that grows by whole records, whatever the disk does: what it refused is written with the next record. */
export class AppendFile {
  readonly #path: string;
  /** Bytes of the whole records in the file. */
  #size: number;
  #unwritten: Uint8Array = new Uint8Array();

  /** @param size bytes that the file has, all of them whole records */
  constructor(path: string, size: number) {
    this.#path = path;
    this.#size = size;
  }

  /**
   * Appends a record. What could not be written is not lost: it is written with the next one, or by `flush`.
   * @throws ERR_COMPACT_CHECKPOINT_WRITE
   */
  async write(record: string | Uint8Array): Promise<void> {
    const isRepair = this.#unwritten.length > 0;
    this.#unwritten = Buffer.concat([
      this.#unwritten,
      typeof record === 'string' ? Buffer.from(record) : record,
    ]);
    await this.#append(isRepair);
  }

  /** @throws ERR_COMPACT_CHECKPOINT_WRITE */
  async flush(): Promise<void> {
    if (this.#unwritten.length > 0) await this.#append(true);
  }

  async #append(isRepair: boolean): Promise<void> {
    await onPath('ERR_COMPACT_CHECKPOINT_WRITE', this.#path, async () => {
      if (isRepair) await truncate(this.#path, this.#size); // a part of it may have been written
      await appendFile(this.#path, this.#unwritten);
    });
    this.#size += this.#unwritten.length;
    this.#unwritten = new Uint8Array();
  }
}

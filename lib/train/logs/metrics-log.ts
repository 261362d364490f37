import type { FileHandle } from 'node:fs/promises';
import {
  AppendFile,
  closeQuietly,
  onPath,
  openRegular,
  systemCode,
  writeFileAtomically,
} from '../../formats/index.js';

/** A line of metrics.jsonl. */
export type Metrics = { readonly step: number } & Readonly<Record<string, number | string | undefined>>;

/** Where metrics of a run go. What could not be written is not lost: it is written with the next ones, or by `flush`. */
export interface MetricsSink {
  /** @throws ERR_COMPACT_CHECKPOINT_WRITE */
  write(metrics: Metrics): Promise<void>;
  /** @throws ERR_COMPACT_CHECKPOINT_WRITE */
  flush(): Promise<void>;
}

/** The history of a run as JSON lines, one history however often the run was interrupted and resumed. */
export class MetricsLog implements MetricsSink {
  readonly #file: AppendFile;

  private constructor(file: AppendFile) {
    this.#file = file;
  }

  /**
   * Keeps the lines up to `step`; later ones come from work that a resume does again.
   * @throws ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_CHECKPOINT_WRITE
   */
  static async open(path: string, step: number): Promise<MetricsLog> {
    const history = await openHistory(path);
    let size = 0;
    try {
      await writeFileAtomically(path, async (file) => {
        if (history === undefined) return;
        for await (const line of linesOf(path, history)) {
          if (stepOf(line) > step) continue;
          await file.writeFile(`${line}\n`);
          size += Buffer.byteLength(line) + 1;
        }
      });
    } finally {
      if (history !== undefined) await closeQuietly(history);
    }
    return new MetricsLog(new AppendFile(path, size));
  }

  /** Appends a line. */
  write(metrics: Metrics): Promise<void> {
    return this.#file.write(`${JSON.stringify(metrics)}\n`);
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }
}

function openHistory(path: string): Promise<FileHandle | undefined> {
  return onPath('ERR_COMPACT_CHECKPOINT_READ', path, () =>
    openRegular(path).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }),
  );
}

async function* linesOf(path: string, file: FileHandle): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const bytes = new Uint8Array(65_536);
  let rest = '';
  for (;;) {
    const { bytesRead } = await onPath('ERR_COMPACT_CHECKPOINT_READ', path, () => file.read(bytes));
    if (bytesRead === 0) break;
    const lines = (rest + decoder.decode(bytes.subarray(0, bytesRead), { stream: true })).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

/** A line that was cut by a crash belongs to no step. */
function stepOf(line: string): number {
  try {
    return (JSON.parse(line) as Metrics).step;
  } catch {
    return Infinity;
  }
}

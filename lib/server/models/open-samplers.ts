import { Sampler, type SamplerOptions } from '../../train/index.js';
import { ApiError } from '../api-error.js';
import { OneAtATime } from '../one-at-a-time.js';

interface OpenModel {
  readonly sampler: Sampler;
  numUses: number;
}

/**
 * The models that are open, to write text; meant for trying a model. One is opened at a time, and the one that was not used
 * for longest makes room for another.
 */
export class OpenSamplers implements AsyncDisposable {
  readonly #limit: number;
  readonly #options: Omit<SamplerOptions, 'checkpoint'>;
  readonly #loading = new OneAtATime();
  /** By folder, in the order of their last use. */
  readonly #open = new Map<string, OpenModel>();
  #isClosed = false;

  constructor(limit: number, options: Omit<SamplerOptions, 'checkpoint'>) {
    this.#limit = limit;
    this.#options = options;
  }

  /**
   * Works with the model of a folder, which stays open meanwhile.
   * @throws ApiError too_many_requests where as many others as there may be are at work; what `Sampler.open` throws
   */
  async use(folder: string): Promise<{ readonly sampler: Sampler } & Disposable> {
    const model = await this.#loading.do('', () => this.#take(folder));
    return { sampler: model.sampler, [Symbol.dispose]: () => void model.numUses-- };
  }

  async #take(folder: string): Promise<OpenModel> {
    if (this.#isClosed) throw new ApiError('unavailable', 'The server is about to stop');
    const found = this.#open.get(folder);
    this.#open.delete(folder);
    const model = found ?? (await this.#opened(folder));
    this.#open.set(folder, model);
    model.numUses++;
    return model;
  }

  async #opened(folder: string): Promise<OpenModel> {
    while (this.#open.size >= this.#limit) await this.#closeOldest();
    const sampler = await Sampler.open({ ...this.#options, checkpoint: folder });
    return { sampler, numUses: 0 };
  }

  async #closeOldest(): Promise<void> {
    const [oldest] = [...this.#open].filter(([, { numUses }]) => numUses === 0);
    if (oldest === undefined)
      throw new ApiError('too_many_requests', 'Other models are writing. Ask again in a while');
    const [folder, { sampler }] = oldest;
    this.#open.delete(folder);
    await sampler.close();
  }

  /** Closes all models; what they write ends with ERR_COMPACT_DISPOSED. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#loading.do('', async () => {
      for (const { sampler } of this.#open.values()) await sampler.close();
      this.#open.clear();
    });
  }
}

import type { Plan } from '../../compile/index.js';
import type { Engine } from '../../runtime/index.js';
import { openBaseModel, type BaseModel, type WeightsEngine } from './base-model.js';
import { openStartingAdapters } from '../interchange/starting-adapters.js';
import type { TrainerSettings } from '../options/options.js';

/** What weights are before the first step: of files, the rest from initializers. Nothing of them has been read yet. */
export interface StartingWeights extends AsyncDisposable {
  readonly base: BaseModel | undefined;
  /**
   * Writes all of them into an engine that has loaded the plan, whose states are still zero.
   * @throws ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_CHECKPOINT_INVALID, ERR_COMPACT_ABORTED
   */
  writeInto(engine: Pick<Engine, 'run'> & WeightsEngine, plan: Plan, signal?: AbortSignal): Promise<void>;
}

/**
 * Opens what a run names to start from, and checks it against the model.
 * @throws ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_CONFIG_VALUE
 */
export async function openStartingWeights({
  baseModel,
  adapter,
  model,
  method,
}: Pick<TrainerSettings, 'baseModel' | 'adapter' | 'model' | 'method'>): Promise<StartingWeights> {
  const base = baseModel === undefined ? undefined : await openBaseModel(baseModel, model);
  try {
    const adapters = adapter === undefined ? undefined : await openStartingAdapters(adapter, model, method);
    return {
      base,
      async writeInto(engine, plan, signal) {
        if (plan.entries['initialize'] !== undefined) await engine.run('initialize', { signal });
        await base?.loadInto(engine, plan, signal);
        await adapters?.loadInto(engine, plan, signal);
        if (plan.entries['prepare'] !== undefined) await engine.run('prepare', { signal });
      },
      async [Symbol.asyncDispose]() {
        await adapters?.[Symbol.asyncDispose]();
        await base?.[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await base?.[Symbol.asyncDispose]();
    throw error;
  }
}

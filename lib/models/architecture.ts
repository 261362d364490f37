import type { Model } from '../graph/index.js';

/** What the registry knows of an architecture. */
export interface Architecture {
  /** Names of its presets. */
  readonly presets: readonly string[];
  /**
   * @param model a preset's name, or a configuration
   * @param overrides replace single values of either
   * @throws ERR_COMPACT_MODEL_UNKNOWN, ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
   */
  create(model: string | object, overrides?: object): Model;
  /**
   * Its configuration from the fields of Hugging Face's `config.json`.
   * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_CONFIG_UNKNOWN_KEY naming the field
   */
  readPretrained(fields: ReadonlyMap<PropertyKey, unknown>): object;
}

import type { Model } from '../graph/index.js';
import { checkValue, ownValues, text } from '../options.js';
import { architectureNamed } from './architectures.js';

/**
 * The model that a `config.json` of Hugging Face's describes; `model_type` says of which architecture it is.
 * @param config the content of the file
 * @param overrides replace single values of what it says, in the words of the architecture's own configuration
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_MODEL_UNKNOWN for a model_type that is not known, ERR_COMPACT_CONFIG_VALUE and
 *   ERR_COMPACT_CONFIG_UNKNOWN_KEY naming the field that is missing, or would change what is computed
 */
export function modelFromPretrainedConfig(config: unknown, overrides: object = {}): Model {
  const fields = ownValues(config, { what: 'config.json' });
  const type = checkValue(fields.get('model_type'), text, 'model_type');
  const architecture = architectureNamed(type, 'model_type');
  return architecture.create(architecture.readPretrained(fields), overrides);
}

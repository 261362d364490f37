import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compactError, isCompactError, nearestName } from '../../errors.js';
import { fileError, systemCode } from '../../formats/index.js';
import type { Model } from '../../graph/index.js';
import { architectures } from '../../models/architectures.js';
import { modelFromPretrainedConfig } from '../../models/index.js';
import { checkValue, path, shown } from '../../options.js';

export const configFileName = 'config.json';
/** Far more than a model has to say of itself. */
const maxConfigBytes = 2 ** 20;

/**
 * The model that a name or a file stands for; weights are not read.
 * @param source a preset's name; or a JSON file in the words of Hugging Face's `config.json`; or a folder that holds a
 *   `config.json`, such as a downloaded model or a checkpoint of this package
 * @param overrides replace single values, in the words of the architecture's own configuration
 * @throws ERR_COMPACT_MODEL_UNKNOWN for a name that is neither, and for a model_type that is not known, both with the
 *   nearest one; ERR_COMPACT_MODEL_READ for a file that cannot be read or is not JSON; ERR_COMPACT_TYPE,
 *   ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, naming the field that is missing or is not possible
 * @example const model = loadModel('downloads/my-llama', { maxPositionEmbeddings: 4096 });
 */
export function loadModel(source: string, overrides: Readonly<Record<string, unknown>> = {}): Model {
  checkValue(source, path, 'model', 'ERR_COMPACT_ARGUMENT');
  const owner = Object.values(architectures).find(({ presets }) => presets.includes(source));
  if (owner !== undefined) return owner.create(source, overrides);
  const { file, text } = readConfig(source);
  const config = parse(file, text);
  try {
    return modelFromPretrainedConfig(config, overrides);
  } catch (error) {
    if (!isCompactError(error)) throw error;
    const { code, what, op, expected, received, remedy } = error;
    throw compactError(code, `${file}: ${what}`, { op, expected, received, remedy });
  }
}

function readConfig(source: string): { readonly file: string; readonly text: string } {
  let file = source;
  try {
    if (statSync(source).isDirectory()) file = join(source, configFileName);
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT' && systemCode(cause) !== 'ENOTDIR')
      throw fileError('ERR_COMPACT_MODEL_READ', source, cause);
    throw unknownModel(source, cause);
  }
  try {
    // Reading from a pipe could wait for ever.
    const status = statSync(file);
    if (status.isFile() && status.size <= maxConfigBytes) return { file, text: readFileSync(file, 'utf8') };
  } catch (cause) {
    throw fileError('ERR_COMPACT_MODEL_READ', file, cause);
  }
  throw notJson(file, `no regular file of at most ${maxConfigBytes} bytes`);
}

function unknownModel(source: string, cause: unknown): Error {
  const presets = Object.values(architectures).flatMap((architecture) => architecture.presets);
  const nearest = nearestName(source, presets);
  return compactError('ERR_COMPACT_MODEL_UNKNOWN', `no preset and no file has the name ${shown(source)}`, {
    op: 'preset',
    expected: `one of ${presets.join(', ')}, or the path of a ${configFileName} or of its folder`,
    received: shown(source),
    remedy: nearest && `Did you mean '${nearest}'?`,
    cause,
  });
}

function parse(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notJson(file, (cause as Error).message, cause);
  }
}

const notJson = (file: string, received: string, cause?: unknown): Error =>
  compactError('ERR_COMPACT_MODEL_READ', `${file} is not the configuration of a model`, {
    op: 'model',
    expected: "JSON in the words of Hugging Face's config.json",
    received,
    cause,
  });

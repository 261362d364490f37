import { compactError, nearestName } from '../errors.js';
import { shown } from '../options.js';
import type { Architecture } from './architecture.js';
import { bertArchitecture } from './bert/model.js';
import { gemma2Architecture } from './gemma2/model.js';
import { gpt2Architecture } from './gpt2/model.js';
import { llamaArchitecture } from './llama/model.js';
import { mistralArchitecture } from './mistral/model.js';
import { phi3Architecture } from './phi3/model.js';
import { qwen2Architecture } from './qwen2/model.js';
import { qwen3Architecture } from './qwen3/model.js';
import { robertaArchitecture } from './roberta/model.js';

/** By the name that they have in descriptions of models and as `model_type` in Hugging Face's `config.json`. */
export const architectures: Readonly<Record<string, Architecture>> = {
  bert: bertArchitecture,
  gemma2: gemma2Architecture,
  gpt2: gpt2Architecture,
  llama: llamaArchitecture,
  mistral: mistralArchitecture,
  phi3: phi3Architecture,
  qwen2: qwen2Architecture,
  qwen3: qwen3Architecture,
  roberta: robertaArchitecture,
};

/**
 * @param op where the name stood, for the error
 * @throws ERR_COMPACT_MODEL_UNKNOWN with the nearest name
 */
export function architectureNamed(name: unknown, op: string): Architecture {
  if (typeof name === 'string' && Object.hasOwn(architectures, name)) return architectures[name]!;
  const names = Object.keys(architectures);
  const nearest = typeof name === 'string' ? nearestName(name, names) : undefined;
  throw compactError('ERR_COMPACT_MODEL_UNKNOWN', 'unknown architecture of a model', {
    op,
    expected: names.map((known) => `'${known}'`).join(' or '),
    received: shown(name),
    remedy: nearest && `Did you mean '${nearest}'?`,
  });
}

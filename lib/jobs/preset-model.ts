import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byteTokenizer } from '../data/byte-tokenizer.js';
import { isCompactError } from '../errors.js';
import { makeFolders } from '../formats/index.js';
import { dense } from '../methods/index.js';
import { architectures } from '../models/architectures.js';
import { checkOptions, oneOf, optional, seedNumber } from '../options.js';
import { exportModel } from '../train/interchange/export-model.js';
import { loadModel, Trainer } from '../train/index.js';

/** A model that is trained from scratch. */
export interface PresetModel {
  /** Name of a preset, e.g. 'llama-demo'. */
  readonly preset: string;
  /** Of its first weights. Default 42. */
  readonly seed?: number;
}

const presets = Object.values(architectures).flatMap((architecture) => architecture.presets);
const presetTable = { preset: oneOf(presets), seed: optional(seedNumber, 42) };

/** Roles are plain text, which the tokenizer has; an answer ends with the end of text. */
const chatTemplate = `{%- for message in messages -%}
{{- '<|' + message['role'] + '|>\\n' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- message['content'] + eos_token -}}{%- endgeneration -%}
{%- else -%}
{{- message['content'] -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>\\n' -}}
{%- endif -%}
`;

/**
 * A folder in the layout of Hugging Face's checkpoints with a preset as it is before its first step: weights that are drawn
 * by a seed, the tokenizer of bytes, and a chat template, so that conversations can be learnt. It is made once and then found.
 *
 * @param parent where the folder is made
 * @param memoryLimitBytes what making it may take. Default: what there is
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_DOES_NOT_FIT, ERR_COMPACT_CHECKPOINT_WRITE
 */
export async function presetModelFolder(
  parent: string,
  given: PresetModel,
  memoryLimitBytes?: number,
): Promise<string> {
  const { preset, seed } = checkOptions(given, presetTable, { what: 'model', prefix: 'model.' });
  const model = loadModel(preset);
  const folder = join(parent, `${preset}-${seed}`);
  if (existsSync(folder)) return folder;
  const outputDirectory = await mkdtemp(join(tmpdir(), 'compact-preset-'));
  try {
    await using trainer = await Trainer.create({
      model,
      method: dense({ optimizer: 'sgd' }), // has no states beside the weights
      data: { train: 'addresses', tokenizer: byteTokenizer.name },
      ...{
        batchSize: 1,
        sequenceLength: 1,
        maxSteps: 1,
        learningRate: 0,
        seed,
        outputDirectory,
        device: 'cpu',
        ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
      },
    });
    const { path: checkpoint } = await trainer.save();
    await writeFile(join(checkpoint, 'chat_template.jinja'), chatTemplate);
    await makeFolders(parent);
    await exportModel({ checkpoint, folder });
  } catch (error) {
    // Another process may have made the same one meanwhile.
    if (!isCompactError(error) || !existsSync(folder)) throw error;
  } finally {
    await rm(outputDirectory, { recursive: true, force: true });
  }
  return folder;
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compactError } from '../../errors.js';
import { onPath, parseStrictObject, systemCode } from '../../formats/index.js';
import {
  checkOptions,
  flag,
  numberAbove,
  optional,
  recordOf,
  shown,
  text,
  wholeNumber,
} from '../../options.js';

/** What `adapter_config.json` says, in the words of Hugging Face's PEFT. */
export interface PeftConfig {
  readonly r: number;
  readonly lora_alpha: number;
  readonly use_rslora: boolean;
  /** Of single modules, by the end of their names. */
  readonly rank_pattern: Readonly<Record<string, number>>;
  readonly alpha_pattern: Readonly<Record<string, number>>;
  readonly base_model_name_or_path?: string;
}

export const adapterConfigFileName = 'adapter_config.json';
export const adapterFileName = 'adapter_model.safetensors';

/** Fields that say nothing of what adapters add to weights, or that shapes and names of the tensors say again. */
const descriptive: readonly string[] = [
  ...['auto_mapping', 'peft_version', 'revision', 'task_type', 'inference_mode', 'runtime_config'],
  ...['target_modules', 'exclude_modules', 'layers_to_transform', 'layers_pattern', 'fan_in_fan_out'],
  ...['lora_dropout', 'megatron_core', 'qalora_group_size', 'ensure_weight_tying'],
];

const perModule = (item: Parameters<typeof recordOf<number>>[0]) =>
  optional(recordOf(item, 'a mapping of names of modules to numbers'), {});

const rows = {
  r: wholeNumber(1),
  lora_alpha: numberAbove(0),
  use_rslora: optional(flag, false),
  rank_pattern: perModule(wholeNumber(1)),
  alpha_pattern: perModule(numberAbove(0)),
  base_model_name_or_path: optional(text),
};
/** Fields by which adapters may compute something else, and what is computed here. */
const fixed = { peft_type: ['LORA'], bias: ['none'], init_lora_weights: [true, false, 'gaussian'] } as const;

/**
 * Reads what a folder of adapters says of them.
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, _READ, _INVALID; ERR_COMPACT_CONFIG_VALUE and ERR_COMPACT_CONFIG_UNKNOWN_KEY naming
 *   the field by which they would compute something else
 */
export async function readPeftConfig(folder: string): Promise<PeftConfig> {
  const file = join(folder, adapterConfigFileName);
  const fields = new Map(Object.entries(parse(file, await readText(folder, file))));
  for (const [field, value] of fields) {
    if (isOff(value)) fields.delete(field);
    else if (Object.hasOwn(fixed, field)) checkFixed(file, field as keyof typeof fixed, value);
    else if (!Object.hasOwn(rows, field) && !descriptive.includes(field))
      throw unknownField(file, field, value);
  }
  if (!fields.has('peft_type')) throw unknownType(file, undefined);
  const given = [...fields].filter(([field]) => Object.hasOwn(rows, field));
  return checkOptions(Object.fromEntries(given), rows, { what: adapterConfigFileName });
}

/** Left out, null, false or empty: what PEFT writes of most features that there are. */
const isOff = (value: unknown): boolean =>
  value === null || value === false || (typeof value === 'object' && Object.keys(value).length === 0);

function checkFixed(file: string, field: keyof typeof fixed, value: unknown): void {
  const expected: readonly unknown[] = fixed[field];
  if (expected.includes(value)) return;
  if (field === 'peft_type') throw unknownType(file, value);
  throw compactError(
    'ERR_COMPACT_CONFIG_VALUE',
    `${file}: adapters with another ${field} cannot be computed`,
    {
      op: field,
      expected: expected.map(shown).join(' or '),
      received: shown(value),
    },
  );
}

const unknownType = (file: string, value: unknown): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', `${file} is of adapters that are not known here`, {
    op: 'peft_type',
    expected: "'LORA'",
    received: shown(value),
  });

const unknownField = (file: string, field: string, value: unknown): Error =>
  compactError('ERR_COMPACT_CONFIG_UNKNOWN_KEY', `${file}: ${field} may change what the adapters compute`, {
    op: field,
    expected: 'it to be off (null, false or empty)',
    received: shown(value),
    remedy: 'Merge the adapters with PEFT, and start from the merged model',
  });

function readText(folder: string, file: string): Promise<string> {
  return onPath('ERR_COMPACT_CHECKPOINT_READ', file, async () => {
    try {
      return await readFile(file, 'utf8');
    } catch (cause) {
      if (systemCode(cause) !== 'ENOENT' && systemCode(cause) !== 'ENOTDIR') throw cause;
      throw compactError('ERR_COMPACT_CHECKPOINT_MISSING', `${folder} holds no adapters`, {
        op: adapterConfigFileName,
        expected: `a folder with ${adapterConfigFileName} and ${adapterFileName}`,
        received: `no ${adapterConfigFileName}`,
        cause,
      });
    }
  });
}

function parse(file: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return parseStrictObject(text, 8);
  } catch (cause) {
    throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${file} is not an object of JSON`, {
      op: adapterConfigFileName,
      received: (cause as Error).message,
      cause,
    });
  }
}

/** The number of a module: that of a pattern that its name ends with, else that of all. */
export function ofModule(
  pattern: Readonly<Record<string, number>>,
  module: string,
  otherwise: number,
): number {
  const name = Object.keys(pattern).find((end) => module === end || module.endsWith(`.${end}`));
  return name === undefined ? otherwise : pattern[name]!;
}

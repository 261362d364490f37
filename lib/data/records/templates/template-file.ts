import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compactError } from '../../../errors.js';
import { systemCode } from '../../../formats/index.js';
import { readRegularFile } from '../../regular-file.js';

/** The longest published template has about 40 kB. */
export const maxTemplateBytes = 2 ** 20;
const maxConfigBytes = 256 * 2 ** 20;

/** What the files of a model say of its chat template. */
export interface TemplateSource {
  /** The file that the template is of. */
  readonly path: string;
  readonly template: string;
  /** Another one for conversations with tools, where there is one. */
  readonly toolTemplate: string | undefined;
  /** Texts of control tokens by the names that templates have for them, e.g. `bos_token`. */
  readonly tokens: Readonly<Record<string, string>>;
}

const tokenNames = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;

/**
 * Finds the chat template of a model: chat_template.jinja, or what tokenizer_config.json has as `chat_template`.
 *
 * @param path the folder of the tokenizer, or its tokenizer.json
 * @returns undefined where there is none
 * @throws ERR_COMPACT_CHAT_TEMPLATE for files that cannot be read, or hold something else
 */
export async function findTemplate(path: string): Promise<TemplateSource | undefined> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const folder = isFolder ? path : dirname(path);
  const configPath = join(folder, 'tokenizer_config.json');
  const mapPath = join(folder, 'special_tokens_map.json');
  const templatePath = join(folder, 'chat_template.jinja');
  const config = parseObject(configPath, await readIfPresent(configPath, maxConfigBytes));
  const map = parseObject(mapPath, await readIfPresent(mapPath, maxConfigBytes));
  const tokens = Object.fromEntries(
    tokenNames.flatMap((name) => {
      const text = tokenText(config[name]) ?? tokenText(map[name]);
      return text === undefined ? [] : [[name, text]];
    }),
  );
  const written = await readIfPresent(templatePath, maxTemplateBytes);
  if (written !== undefined)
    return { path: templatePath, template: written, toolTemplate: undefined, tokens };
  const { chat_template: given } = config;
  if (given === undefined || given === null) return undefined;
  if (typeof given === 'string')
    return { path: configPath, template: given, toolTemplate: undefined, tokens };
  const named = (name: string): string | undefined =>
    Array.isArray(given)
      ? given
          .map((item: unknown) => item as { name?: unknown; template?: unknown } | null)
          .map((item) => (item?.name === name ? item.template : undefined))
          .find((template) => typeof template === 'string')
      : undefined;
  const template = named('default');
  if (template === undefined)
    throw compactError('ERR_COMPACT_CHAT_TEMPLATE', `${configPath} holds no usable chat template`, {
      op: 'chat template',
      expected: '`chat_template`, a text, or a list with one that is named default',
    });
  return { path: configPath, template, toolTemplate: named('tool_use'), tokens };
}

function tokenText(token: unknown): string | undefined {
  const text = typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  return typeof text === 'string' ? text : undefined;
}

async function readIfPresent(path: string, maxBytes: number): Promise<string | undefined> {
  try {
    return await readRegularFile(path, maxBytes);
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw unusable(path, cause);
  }
}

function parseObject(path: string, json: string | undefined): Readonly<Record<string, unknown>> {
  if (json === undefined) return {};
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
    throw new TypeError('it is not an object');
  } catch (cause) {
    throw unusable(path, cause);
  }
}

function unusable(path: string, cause: unknown): Error {
  return compactError('ERR_COMPACT_CHAT_TEMPLATE', `${path} cannot be read`, {
    op: 'chat template',
    received: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}

/** Chat templates with the tokenizers that they were rendered with by transformers; see scripts/fixtures. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tokenizerFromFiles } from '../../lib/data/huggingface/load.js';
import type { ChatMessage, ChatTool } from '../../lib/data/records/kinds/index.js';
import { ChatTemplate } from '../../lib/data/records/templates/chat-template.js';
import type { Tokenizer } from '../../lib/data/types.js';

const folder = join(__dirname, '..', 'fixtures');
const readJson = (...path: string[]): unknown => JSON.parse(readFileSync(join(folder, ...path), 'utf8'));

export interface ChatFixture {
  readonly tokenizer: string;
  readonly added_tokens: readonly object[];
  readonly named: Readonly<Record<string, string>>;
  readonly template: string;
  readonly cases: readonly {
    readonly messages: readonly ChatMessage[];
    readonly tools: readonly ChatTool[] | null;
    readonly text: string;
    readonly prompt: string;
    readonly ids: readonly number[];
    readonly mask: readonly number[];
  }[];
}

export const chatFixtureNames = readdirSync(join(folder, 'chat')).map((name) => name.replace('.json', ''));

export const readChatFixture = (name: string): ChatFixture => readJson('chat', `${name}.json`) as ChatFixture;

/** The files of the fixture's tokenizer, with its template, by name. */
export function chatFiles(name: string): Readonly<Record<string, string>> {
  const { tokenizer, added_tokens, named, template } = readChatFixture(name);
  const { tokenizer: config } = readJson('tokenizers', `${tokenizer}.json`) as { tokenizer: object };
  return {
    'tokenizer.json': JSON.stringify({ ...config, added_tokens }),
    'tokenizer_config.json': JSON.stringify(named),
    'chat_template.jinja': template,
  };
}

export const chatTokenizer = (name: string): Tokenizer => tokenizerFromFiles(name, chatFiles(name));

export const chatTemplate = (name: string, change = (template: string): string => template): ChatTemplate => {
  const { template, named } = readChatFixture(name);
  return new ChatTemplate({ path: name, template: change(template), toolTemplate: undefined, tokens: named });
};

/** A template as it is published: without tags around what an assistant says. */
export const withoutGenerationTags = (template: string): string =>
  template.replaceAll(/\{%(-?) *(?:end)?generation *(-?)%\}/g, '{%$1 if true $2%}{% endif %}');

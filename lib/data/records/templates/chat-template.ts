import { compactError, type CompactErrorFields } from '../../../errors.js';
import { ranTooLong, runBounded } from '../../run-bounded.js';
import type { ChatMessage, MessagesExample } from '../kinds/index.js';
import { Template } from './jinja.js';
import type { JinjaProgram } from './jinja.js';
import { renderWithin } from './limits.js';
import { anyMark, markGeneration, takeSpans } from './marks.js';
import type { Span } from './marks.js';
import { findTemplate, maxTemplateBytes } from './template-file.js';
import type { TemplateSource } from './template-file.js';

/** What a template makes of a conversation. */
export interface RenderedChat {
  readonly text: string;
  /** What `{% generation %}` encloses; undefined where the template has no such tags. */
  readonly spans: readonly Span[] | undefined;
}

export interface RenderChoices {
  /** Whether the text ends in what comes before the next answer. Default false. */
  readonly addGenerationPrompt?: boolean;
}

/** How long the rendering of one conversation may take, with all its parts. */
const longestMs = 10_000;

interface ParsedTemplate {
  readonly program: JinjaProgram;
  readonly hasGeneration: boolean;
}

/**
 * A chat template in Jinja as models bring one along: it gives the text that `apply_chat_template` of transformers gives.
 * It is a program of a stranger: one that throws, loops or grows without measure is a typed error.
 */
export class ChatTemplate {
  readonly #source: TemplateSource;
  readonly #default: ParsedTemplate;
  readonly #forTools: ParsedTemplate | undefined;

  /** @throws ERR_COMPACT_CHAT_TEMPLATE for what is no template */
  constructor(source: TemplateSource) {
    this.#source = source;
    this.#default = parseTemplate(source.path, source.template);
    this.#forTools =
      source.toolTemplate === undefined ? undefined : parseTemplate(source.path, source.toolTemplate);
  }

  /**
   * Loads the chat template of a model.
   * @param path the folder of its tokenizer, or its tokenizer.json
   * @returns undefined where there is none
   * @throws ERR_COMPACT_CHAT_TEMPLATE
   */
  static async load(path: string): Promise<ChatTemplate | undefined> {
    const source = await findTemplate(path);
    return source && new ChatTemplate(source);
  }

  /**
   * The text of a conversation.
   * @throws ERR_COMPACT_CHAT_TEMPLATE where the template throws (many ask for roles that take turns), loops for ever, or
   *   makes too much
   */
  render(
    { messages, tools }: Pick<MessagesExample, 'messages' | 'tools'>,
    { addGenerationPrompt = false }: RenderChoices = {},
  ): RenderedChat {
    const { program, hasGeneration } = (tools && this.#forTools) ?? this.#default;
    const variables = {
      messages: messages.map(withoutWeight),
      tools: tools ?? null,
      documents: null,
      add_generation_prompt: addGenerationPrompt,
      ...this.#source.tokens,
    };
    const marked = this.#guarded(() => renderWithin(program, variables));
    const taken = takeSpans(marked);
    if (taken === undefined)
      throw this.error('marks what is generated without a start or an end', {
        expected: '{% generation %} and {% endgeneration %} in turn',
      });
    return { text: taken.text, spans: hasGeneration ? taken.spans : undefined };
  }

  #guarded(work: () => string): string {
    let result: string | typeof ranTooLong;
    try {
      result = runBounded(work, longestMs);
    } catch (cause) {
      throw this.error('refuses a conversation', {
        received: cause instanceof Error ? cause.message : String(cause),
        cause,
      });
    }
    if (result !== ranTooLong) return result;
    throw this.error('comes to no end with a conversation', {
      expected: `it to take at most ${longestMs / 1000} s`,
    });
  }

  /** @param what goes on after the name of the template, e.g. 'refuses a conversation' */
  error(what: string, fields: CompactErrorFields): Error {
    return compactError('ERR_COMPACT_CHAT_TEMPLATE', `the chat template of ${this.#source.path} ${what}`, {
      op: 'chat template',
      ...fields,
    });
  }
}

function parseTemplate(path: string, template: string): ParsedTemplate {
  const unusable = (received: string, cause?: unknown): Error =>
    compactError('ERR_COMPACT_CHAT_TEMPLATE', `the chat template of ${path} cannot be understood`, {
      op: 'chat template',
      expected: 'a template in Jinja, as transformers takes it',
      received,
      cause,
    });
  if (template.length > maxTemplateBytes) throw unusable(`${template.length} characters`);
  if (anyMark.test(template)) throw unusable('a noncharacter, U+FDD0 to U+FDD2');
  try {
    const { source, hasGeneration } = markGeneration(template);
    const program = runBounded(() => new Template(source).parsed, longestMs);
    if (program === ranTooLong) throw new RangeError(`no end after ${longestMs / 1000} s`);
    return { program, hasGeneration };
  } catch (cause) {
    throw unusable(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** The weight says what is learnt; it is nothing of the conversation. */
function withoutWeight(message: ChatMessage): object {
  const { weight: _, ...others } = message;
  return others;
}

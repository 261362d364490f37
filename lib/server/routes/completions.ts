import type { FastifyInstance } from 'fastify';
import type { SampleMessage } from '../../train/index.js';
import type { ServerContext } from '../context.js';
import { generationProperties, type GenerationBody } from '../models/generation.js';
import { writeText, type AnswerShape } from '../models/write-text.js';

interface ChatBody extends GenerationBody {
  readonly messages: readonly {
    readonly role: SampleMessage['role'];
    readonly content: string | readonly { readonly type: 'text'; readonly text: string }[];
  }[];
}

interface CompletionBody extends GenerationBody {
  readonly prompt: string;
}

const text = { type: 'string', description: 'text' };
const messages = {
  type: 'array',
  description: 'a list of messages, { role, content }',
  minItems: 1,
  maxItems: 1000,
  items: {
    type: 'object',
    description: 'a message, { role, content }',
    properties: {
      role: {
        enum: ['system', 'user', 'assistant'],
        description: "'system', 'user' or 'assistant'",
      },
      content: {
        description: "text, or a list of parts, { type: 'text', text }",
        anyOf: [
          text,
          {
            type: 'array',
            minItems: 1,
            maxItems: 100,
            items: {
              type: 'object',
              properties: { type: { const: 'text' }, text },
              required: ['type', 'text'],
              additionalProperties: false,
            },
          },
        ],
      },
    },
    required: ['role', 'content'],
    additionalProperties: false,
  },
};

const bodySchema = (newTokens: number, properties: object): object => ({
  type: 'object',
  description: 'a text that is to be written, { model, ... }',
  properties: { ...generationProperties(newTokens), ...properties },
  required: ['model', ...Object.keys(properties)],
  additionalProperties: false,
});

const chatShape: AnswerShape = {
  idPrefix: 'chatcmpl',
  object: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  whole: (content) => ({ message: { role: 'assistant', content, refusal: null } }),
  piece: (content, isFirst) => ({ delta: { ...(isFirst && { role: 'assistant' }), content } }),
  end: { delta: {} },
};

const completionShape: AnswerShape = {
  idPrefix: 'cmpl',
  object: 'text_completion',
  chunkObject: 'text_completion',
  whole: (written) => ({ text: written }),
  piece: (written) => ({ text: written }),
  end: { text: '' },
};

/** Text by a model, so that one can try what was trained: one text at a time, of few models. */
export function registerCompletions(app: FastifyInstance, context: ServerContext): void {
  const { bodyBytes: bodyLimit, newTokens } = context.limits;
  const config = { scope: 'generate' } as const;
  app.post<{ Body: ChatBody }>(
    '/v1/chat/completions',
    { config, bodyLimit, schema: { body: bodySchema(newTokens, { messages }) } },
    (request, reply) => {
      const prompt = { messages: request.body.messages.map(messageOf) };
      return writeText(context, request, reply, { prompt, shape: chatShape });
    },
  );
  app.post<{ Body: CompletionBody }>(
    '/v1/completions',
    { config, bodyLimit, schema: { body: bodySchema(newTokens, { prompt: text }) } },
    (request, reply) => {
      const { prompt } = request.body;
      return writeText(context, request, reply, { prompt: { prompt }, shape: completionShape });
    },
  );
}

const messageOf = ({ role, content }: ChatBody['messages'][number]): SampleMessage => ({
  role,
  content: typeof content === 'string' ? content : content.map((part) => part.text).join(''),
});

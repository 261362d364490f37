import type { Command } from 'commander';
import { createInterface, type Interface } from 'node:readline';
import { compactError, isCompactError } from '../../errors.js';
import { Sampler, type SampleMessage, type SampleReport } from '../../train/index.js';
import { Conversation } from '../conversation.js';
import {
  addGenerationFlags,
  modelArgument,
  splitGenerationFlags,
  type GenerationFlags,
} from '../generation-flags.js';
import { onInterrupt } from '../interrupt.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
Every line is a message; the model answers it by its chat template. /reset forgets the conversation, /exit or the end of the
input ends it, Ctrl-C ends an answer. Where the conversation does not fit into the context any more, its oldest messages are
left out. Input need not come from a terminal: then each line is a turn, and with --json each answer an object on a line.`,
  examples: [
    ['compact-train chat downloads/my-chat-model'],
    ['compact-train chat downloads/my-chat-model --system "Answer in one sentence." --temperature 0.7'],
    ['echo "What is a plan?" | compact-train chat downloads/my-chat-model --json'],
  ],
} as const;

interface ChatFlags extends GenerationFlags {
  readonly system?: string;
}

export function registerChat(program: Command, terminal: Terminal): void {
  const command = program
    .command('chat')
    .summary('talk with a model')
    .description('Answers message by message with a model that has a chat template.')
    .argument(...modelArgument)
    .option('--system <text>', 'what the model is told before the conversation')
    .action((model: string, flags: ChatFlags) => chat(model, flags, terminal));
  addGenerationFlags(command, 512);
  addHelpAfter(command, help);
}

async function chat(model: string, flags: ChatFlags, terminal: Terminal): Promise<void> {
  const { sampler: options, text } = splitGenerationFlags(flags);
  const { system, ...choices } = text;
  await using sampler = await Sampler.open({ checkpoint: model, ...options });
  if (!sampler.hasChatTemplate) throw noTemplate(sampler.checkpoint);
  const conversation = new Conversation(sampler, { system, maxNewTokens: choices.maxNewTokens! });
  using interrupt = onInterrupt(() => {});
  const isTerminal = process.stdin.isTTY && terminal.isInteractive;
  const input = createInterface({
    input: process.stdin,
    ...(isTerminal && { output: process.stdout, prompt: terminal.style('bold', '> ') }),
  });
  // A terminal's Ctrl-C is the line editor's: it ends an answer, and between answers the conversation.
  let answering: AbortController | undefined;
  input.on('SIGINT', () => (answering === undefined ? input.close() : answering.abort()));

  const answer = async (messages: readonly SampleMessage[]): Promise<SampleReport | undefined> => {
    answering = new AbortController();
    const signal = AbortSignal.any([answering.signal, interrupt.signal]);
    try {
      const write = (piece: string): void => terminal.write(piece);
      return await sampler.sample({ ...choices, messages, signal, onText: write });
    } catch (error) {
      if (answering.signal.aborted && isCompactError(error, 'ERR_COMPACT_ABORTED')) return undefined;
      if (!isTerminal || !isCompactError(error, 'ERR_COMPACT_ARGUMENT')) throw error;
      terminal.warn(error.message); // e.g. a message longer than the context: the conversation goes on
      return undefined;
    } finally {
      answering = undefined;
      terminal.line();
    }
  };

  for await (const line of linesOf(input, isTerminal)) {
    if (line === '/exit') break;
    if (line === '/reset') conversation.reset();
    if (line === '/reset' || line.trim() === '') continue;
    const numLeftOut = conversation.add(line);
    if (numLeftOut > 0)
      terminal.warn(`The context is full: ${numLeftOut} of the oldest messages are left out.`);
    const report = await answer(conversation.messages);
    conversation.answered(report?.text);
    if (report !== undefined) terminal.object({ type: 'answer', ...report, prompt: line });
  }
  input.close();
  interrupt.signal.throwIfAborted();
}

async function* linesOf(input: Interface, isTerminal: boolean): AsyncGenerator<string> {
  if (isTerminal) input.prompt();
  for await (const line of input) {
    yield line;
    if (isTerminal) input.prompt();
  }
}

const noTemplate = (folder: string): Error =>
  compactError('ERR_COMPACT_ARGUMENT', `${folder} has no chat template`, {
    op: 'model',
    expected: 'a model with chat_template.jinja, or chat_template in its tokenizer_config.json',
    received: 'neither',
    remedy: `Let it go on from a text: compact-train sample ${folder} --prompt TEXT`,
  });

import { basename } from 'node:path';
import { compactError } from '../errors.js';

/** Names of files that PyTorch writes: pickles, which run code when they are opened. */
export const isPickle = (name: string): boolean => /\.(bin|pt|pth|ckpt|pkl)$/i.test(name);

/** What makes safetensors of them, by what they hold. */
const conversions = {
  model: "AutoModelForCausalLM.from_pretrained('folder').save_pretrained('converted')",
  adapters: "AutoPeftModelForCausalLM.from_pretrained('folder').save_pretrained('converted')",
} as const;

/** Refuses them with the way to safetensors. */
export const refusedPickle = (path: string, holds: keyof typeof conversions = 'model'): Error =>
  compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${path} is a Python pickle, which may run any code`, {
    op: basename(path),
    expected: 'safetensors',
    received: basename(path),
    remedy: `Convert it with transformers, where you trust it: ${conversions[holds]}`,
  });

import { basename } from 'node:path';
import { compactError } from '../errors.js';

/** Names of files that PyTorch writes: pickles, which run code when they are opened. */
export const isPickle = (name: string): boolean => /\.(bin|pt|pth|ckpt|pkl)$/i.test(name);

/** Refuses them with the way to safetensors. */
export const refusedPickle = (path: string): Error =>
  compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${path} is a Python pickle, which may run any code`, {
    op: basename(path),
    expected: 'safetensors',
    received: basename(path),
    remedy:
      'Convert it with transformers, where you trust it: ' +
      "AutoModelForCausalLM.from_pretrained('folder').save_pretrained('converted')",
  });

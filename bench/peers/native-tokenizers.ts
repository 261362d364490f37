/** The npm package tokenizers (Hugging Face's, native), from a folder where it is installed. */
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { compactError } from '../../lib/errors.js';

/** One tokenizer of it. */
export interface NativeTokenizer {
  /** Ids of a text, without control tokens around it. */
  encode(text: string): Promise<readonly number[]>;
  /** The text of ids, without that of control tokens. */
  decode(ids: readonly number[]): Promise<string>;
}

interface Package {
  readonly Tokenizer: {
    fromFile(path: string): {
      encode(
        text: string,
        pair: null,
        options: { readonly addSpecialTokens: boolean },
      ): Promise<{ getIds(): number[] }>;
      decode(ids: readonly number[], skipSpecialTokens: boolean): Promise<string>;
    };
  };
}

/**
 * @param packageFolder where the package is installed
 * @returns what opens the tokenizer.json of a folder
 * @throws ERR_COMPACT_ARGUMENT
 */
export function nativeTokenizers(packageFolder: string): (folder: string) => NativeTokenizer {
  const { Tokenizer } = requirePackage(packageFolder);
  return (folder) => {
    const native = Tokenizer.fromFile(join(folder, 'tokenizer.json'));
    return {
      encode: async (text) => (await native.encode(text, null, { addSpecialTokens: false })).getIds(),
      decode: (ids) => native.decode(ids, true),
    };
  };
}

function requirePackage(folder: string): Package {
  try {
    return createRequire(join(resolve(folder), 'package.json'))('tokenizers') as Package;
  } catch (cause) {
    throw compactError('ERR_COMPACT_ARGUMENT', `${folder} has no npm package tokenizers`, {
      op: '--peer',
      remedy: `npm install --prefix ${folder} tokenizers`,
      cause,
    });
  }
}

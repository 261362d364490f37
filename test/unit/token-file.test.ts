import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  open,
  readFile,
  readdir,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTokenizer } from '../../lib/data/index.js';
import { TokenFile } from '../../lib/data/token-file.js';
import type { TokenChoices, TokenizeControl } from '../../lib/data/tokenize.js';
import type { Tokenizer } from '../../lib/data/types.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-tokens-'));
});
afterEach(() => rm(folder, { recursive: true }));

const choices: TokenChoices = { textField: 'text', splitSpecialTokens: true };
const cache = (): string => join(folder, 'cache');

async function openTokens(
  path: string,
  change: { tokenizer?: Tokenizer; choices?: TokenChoices; control?: TokenizeControl } = {},
): Promise<TokenFile> {
  const { size, mtimeMs } = await stat(path);
  const source = { path, format: 'text', numBytes: size, modifiedMs: mtimeMs } as const;
  const tokenizer = change.tokenizer ?? (await loadTokenizer());
  return TokenFile.open(cache(), [source], tokenizer, change.choices ?? choices, change.control);
}

async function textFile(text: string | Uint8Array): Promise<string> {
  const path = join(folder, 'text.txt');
  await writeFile(path, text);
  return path;
}

/** Text without a period that could hide a shift. */
const counting = (length: number): string =>
  Array.from({ length }, (_, i) => String.fromCodePoint(0x20 + ((i * i) % 89))).join('');

const tokenPath = async (): Promise<string> => join(cache(), (await readdir(cache()))[0]!);
const damaged = { code: 'ERR_COMPACT_DATA_READ', remedy: expect.stringMatching(/remove it/i) };

test.each([2, 4] as const)(
  'ids of %i bytes come back from any position, over the ends of blocks',
  async (idBytes) => {
    const text = counting(10_000);
    const path = await textFile(text);
    const bytes = await loadTokenizer();
    const offset = idBytes === 4 ? 70_000 : 0;
    const tokenizer: Tokenizer = {
      ...bytes,
      vocabularySize: offset + 257,
      endOfTextId: undefined,
      encode: (piece) => Uint32Array.from(Buffer.from(piece), (id) => id + offset),
    };
    const tokens = await openTokens(path, { tokenizer });
    expect(tokens.numTokens).toBe(text.length);
    const inBlock = 4092 / idBytes;
    for (const start of [0, 1, inBlock - 1, inBlock, inBlock + 1, 3 * inBlock - 2, text.length - 7])
      for (const count of [0, 1, 2, 7, inBlock, 2 * inBlock + 3]) {
        if (start + count > text.length) continue;
        const expected = Array.from(Buffer.from(text).subarray(start, start + count), (id) => id + offset);
        expect([...(await tokens.read(start, count))]).toEqual(expected);
      }
    await tokens.close();
  },
);

describe('the text that is used is the text that is there', () => {
  test('another text of the same size and time, in the same file, is not taken for the old one', async () => {
    const path = await textFile('the first text');
    const when = new Date(1_700_000_000_000);
    await utimes(path, when, when);
    const first = await openTokens(path);
    await writeFile(path, 'another text!!');
    await utimes(path, when, when);
    const second = await openTokens(path);
    expect(Buffer.from(await second.read(0, 14)).toString()).toBe('another text!!');
    expect(second.sha256).not.toBe(first.sha256);
    await Promise.all([first.close(), second.close()]);
  });

  test('the same text is found again wherever it stands and whenever it was written', async () => {
    const path = await textFile('some text');
    await (await openTokens(path)).close();
    const before = await stat(await tokenPath());
    const moved = join(folder, 'moved.txt');
    await writeFile(moved, 'some text');
    await (await openTokens(moved)).close();
    expect(await readdir(cache())).toHaveLength(1);
    expect((await stat(await tokenPath())).mtimeMs).toBe(before.mtimeMs);
  });

  test.each<[string, (tokenizer: Tokenizer) => Parameters<typeof openTokens>[1]]>([
    ['choice', () => ({ choices: { ...choices, splitSpecialTokens: false } })],
    ['end of text', (bytes) => ({ tokenizer: { ...bytes, endOfTextId: 0 } })],
    ['tokenizer', (bytes) => ({ tokenizer: { ...bytes, files: () => ({ 'tokenizer.json': '{}' }) } })],
  ])('another %s makes other tokens', async (_, change) => {
    const path = await textFile('some text');
    await (await openTokens(path)).close();
    await (await openTokens(path, change(await loadTokenizer()))).close();
    expect(await readdir(cache())).toHaveLength(2);
  });

  test('a text that changes while it is tokenised is refused, and nothing stays', async () => {
    const path = await textFile('some text');
    const bytes = await loadTokenizer();
    const encode = (text: string): ArrayLike<number> => {
      writeFileSync(path, 'more text');
      return bytes.encode(text);
    };
    await expect(openTokens(path, { tokenizer: { ...bytes, encode } })).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_READ',
      message: expect.stringContaining(path),
    });
    expect(await readdir(folder)).toEqual(['text.txt']);
  });
});

describe('a file of tokens that is not what was written', () => {
  const numBlocks = 1 + Math.ceil((2 * 20_001) / 4092);

  /** Reads everything in pieces; the first piece that is refused ends it. */
  async function readAll(tokens: TokenFile): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for (let start = 0; start < tokens.numTokens; start += 1000)
      parts.push(Uint8Array.from(await tokens.read(start, Math.min(1000, tokens.numTokens - start))));
    return Buffer.concat(parts);
  }

  test('any byte of the ids that changes is found when it is read, before or after the file was opened', async () => {
    const text = counting(20_000);
    const path = await textFile(text);
    const early = await openTokens(path);
    const file = await tokenPath();
    const whole = await readFile(file);
    for (let block = 1; block < numBlocks; block++) {
      for (const offset of [0, 1, 2000, 4091, 4095]) {
        const position = block * 4096 + offset;
        const handle = await open(file, 'r+');
        await handle.write(Buffer.of(whole[position]! ^ 0x10), 0, 1, position);
        const late = await openTokens(path);
        for (const tokens of [early, late]) await expect(readAll(tokens)).rejects.toMatchObject(damaged);
        await late.close();
        await handle.write(whole, position, 1, position);
        await handle.close();
      }
    }
    expect((await readAll(early)).subarray(0, -1).toString('latin1')).toBe(text);
    await early.close();
  });

  test('cut while it is used: an error, no zeros; cut before: made anew', async () => {
    const path = await textFile(counting(20_000));
    const tokens = await openTokens(path);
    const file = await tokenPath();
    const whole = await readFile(file);
    for (const size of [whole.length - 1, whole.length - 4096, 4096, 0]) {
      await truncate(file, size);
      await expect(readAll(tokens)).rejects.toMatchObject(damaged);
    }
    await (await openTokens(path)).close();
    expect(await readFile(file)).toEqual(whole);
    await tokens.close();
  });

  test('blocks that trade places, and those of another text, are found', async () => {
    const path = await textFile(counting(20_000));
    await (await openTokens(path)).close();
    const file = await tokenPath();
    const whole = await readFile(file);
    const swapped = Buffer.from(whole);
    whole.copy(swapped, 4096, 2 * 4096, 3 * 4096);
    whole.copy(swapped, 2 * 4096, 4096, 2 * 4096);
    await writeFile(file, swapped);
    const first = await openTokens(path);
    await expect(readAll(first)).rejects.toMatchObject(damaged);
    await first.close();
    const other = await textFile(counting(20_000).toUpperCase());
    await (await openTokens(other)).close();
    const foreign = await readFile(
      join(
        cache(),
        (await readdir(cache())).find((name) => !file.endsWith(name))!,
      ),
    );
    whole.copy(swapped);
    foreign.copy(swapped, 4096, 4096, 2 * 4096);
    await writeFile(file, swapped);
    await writeFile(path, counting(20_000));
    const second = await openTokens(path);
    await expect(readAll(second)).rejects.toMatchObject(damaged);
    await second.close();
  });

  test('any byte of the header that changes: the file is made anew', async () => {
    const path = await textFile('some text');
    await (await openTokens(path)).close();
    const file = await tokenPath();
    const whole = await readFile(file);
    for (const position of [0, 20, 40, 60, 80, 4000, 4095]) {
      const changed = Buffer.from(whole);
      changed[position]! ^= 1;
      await writeFile(file, changed);
      await (await openTokens(path)).close();
      expect(await readFile(file)).toEqual(whole);
    }
  });
});

describe('folders', () => {
  test('what is refused leaves a shared folder, and what others keep in it, alone', async () => {
    const path = await textFile(Buffer.from([65, 0, 66]));
    const deep = join(folder, 'a', 'b');
    const bytes = await loadTokenizer();
    const source = { path, format: 'text', numBytes: 3, modifiedMs: 0 } as const;
    await expect(TokenFile.open(deep, [source], bytes, choices)).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_BINARY',
    });
    expect(await readdir(folder)).toEqual(['text.txt']);

    const failing = TokenFile.open(
      deep,
      [{ ...source, path: await textFile('fine') }],
      {
        ...bytes,
        // Another run begins to use the folder while this one tokenises.
        encode: (text) => {
          mkdirSync(join(folder, 'a', 'sibling'));
          writeFileSync(join(folder, 'a', 'sibling', 'kept'), text);
          throw new Error('refused late');
        },
      },
      choices,
    );
    await expect(failing).rejects.toThrow('refused late');
    expect(await readdir(join(folder, 'a'))).toEqual(['sibling']);
    expect(await readdir(join(folder, 'a', 'sibling'))).toEqual(['kept']);
  });

  test('what a killed process has left in the cache goes, what a living one makes stays', async () => {
    await mkdir(cache());
    const deadPid = spawnSync(process.execPath, ['-e', '']).pid;
    const bytes = await loadTokenizer();
    const path = await textFile('some text');
    let own = '';
    const encode: Tokenizer['encode'] = (text) => {
      own = readdirSync(cache()).find((name) => name.endsWith('.partial'))!;
      return bytes.encode(text);
    };
    await (await openTokens(path, { tokenizer: { ...bytes, encode } })).close();
    const dead = own.replace(`-${process.pid}-`, `-${deadPid}-`);
    const alive = own.replace(`-${process.pid}-`, `-${process.ppid}-`);
    for (const name of [dead, alive]) await writeFile(join(cache(), name), '');
    await (await openTokens(path)).close();
    const names = await readdir(cache());
    expect(names).toContain(alive);
    expect(names).not.toContain(dead);
  });

  test('an abort while the text is hashed ends the opening', async () => {
    const path = await textFile('some text');
    const control = { signal: AbortSignal.abort() };
    await expect(openTokens(path, { control })).rejects.toMatchObject({ code: 'ERR_COMPACT_ABORTED' });
    expect(await readdir(folder)).toEqual(['text.txt']);
  });

  test('a pipe is refused at once', async () => {
    const path = join(folder, 'pipe');
    if (spawnSync('mkfifo', [path]).status !== 0) {
      console.warn('skipped: this system has no named pipes');
      return;
    }
    await expect(openTokens(path)).rejects.toMatchObject({ code: 'ERR_COMPACT_DATA_READ' });
  });
});

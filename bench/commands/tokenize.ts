import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { encodePieces } from '../../lib/data/encode-pieces.js';
import { loadTokenizer } from '../../lib/data/tokenizer.js';
import type { Tokenizer } from '../../lib/data/index.js';
import { compactError } from '../../lib/errors.js';
import { benchDevice } from '../../lib/cli/bench/device.js';
import { appendToLedger, type LedgerRow } from '../../lib/cli/bench/ledger.js';
import { quantiles } from '../../lib/cli/bench/quantiles.js';
import { positiveInteger } from '../../lib/cli/options.js';
import { renderTable } from '../../lib/cli/table.js';
import type { Terminal } from '../../lib/cli/terminal.js';
import { nativeTokenizers, type NativeTokenizer } from '../peers/native-tokenizers.js';

const help = `
One thread encodes the same text by this package and by the npm package tokenizers (Hugging Face's, native), in turns, in
pieces of 65,536 characters, as training data is read. Ids are compared first. The peer is found from the folder that --peer
names; without it, or where it is not installed, this package is measured alone.

Examples:
  scripts/bench tokenize models/llama-3 --text corpus.txt
  npm install --prefix /tmp/peer tokenizers && scripts/bench tokenize models/* --text corpus.txt --peer /tmp/peer`;

interface TokenizeFlags {
  readonly text: string;
  readonly peer?: string;
  readonly rounds: number;
  readonly ledger?: string;
}

const pieceLength = 65_536;

export function registerTokenizeBench(bench: Command, terminal: Terminal): void {
  bench
    .command('tokenize')
    .summary('text to tokens, beside the native tokenizers')
    .description('Times one thread that turns a text into tokens.')
    .argument('<folders...>', 'folders with a tokenizer.json')
    .requiredOption('--text <file>', 'UTF-8 text to encode')
    .option('--peer <folder>', 'where the npm package tokenizers is installed')
    .option('--rounds <count>', 'passes over the text', positiveInteger, 5)
    .option('--ledger <file>', 'append the figures as JSON lines')
    .addHelpText('after', help)
    .action((folders: readonly string[], flags: TokenizeFlags) => tokenizeBench(folders, flags, terminal));
}

async function tokenizeBench(
  folders: readonly string[],
  { text: file, peer: peerFolder, rounds, ledger }: TokenizeFlags,
  terminal: Terminal,
): Promise<void> {
  // Read by the peer when it starts: as many threads as this package has here.
  process.env['TOKENIZERS_PARALLELISM'] = 'false';
  process.env['RAYON_NUM_THREADS'] = '1';
  const text = readFileSync(file, 'utf8');
  const peer = peerFolder === undefined ? undefined : nativeTokenizers(peerFolder);
  const numBytes = Buffer.byteLength(text);
  const rows: LedgerRow[] = [];
  for (const folder of folders) {
    const ways = await waysOf(folder, peer);
    const results = new Map(ways.map(({ provider }) => [provider, [] as number[]]));
    for (const piece of pieces(text)) await checkIds(folder, piece, ways);
    for (let round = 0; round < rounds; round++)
      for (const { provider, encode } of ways) {
        const start = performance.now();
        for (const piece of pieces(text)) await encode(piece);
        const seconds = (performance.now() - start) / 1000;
        results.get(provider)!.push(numBytes / 1e6 / seconds);
      }
    for (const [provider, rates] of results)
      rows.push({
        case: 'tokenize',
        provider,
        metric: 'rate of one thread',
        unit: 'MB/s',
        shape: `${basename(folder)}, ${basename(file)}`,
        dtype: 'ids',
        ...quantiles(rates),
        repeats: rates.length,
      });
  }
  terminal.object({ type: 'bench-tokenize', rows });
  terminal.line(
    renderTable(
      [{ title: 'tokenizer' }, { title: 'by' }, { title: 'MB/s', align: 'right' }],
      rows.map(({ shape, provider, p50 }) => [shape, provider, p50.toFixed(2)]),
    ),
  );
  if (ledger !== undefined) appendToLedger(ledger, rows, benchDevice('cpu', 1));
}

interface Way {
  readonly provider: string;
  encode(piece: string): Promise<ArrayLike<number>> | ArrayLike<number>;
}

/** A rate says nothing of a tokenizer that gives other ids. */
async function checkIds(folder: string, piece: string, ways: readonly Way[]): Promise<void> {
  const [ours, ...others] = await Promise.all(ways.map(async ({ encode }) => encode(piece)));
  for (const theirs of others)
    if (Array.from(theirs).join() !== Array.from(ours!).join())
      throw compactError('ERR_COMPACT_TOKENIZER', `${folder} gives other ids than its peer`, {
        op: 'text',
        received: JSON.stringify(piece.slice(0, 80)),
      });
}

async function waysOf(
  folder: string,
  peer: ((folder: string) => NativeTokenizer) | undefined,
): Promise<readonly Way[]> {
  const tokenizer = await loadTokenizer(folder);
  const ours: Way = { provider: 'compact-train', encode: (piece) => encodeOurs(tokenizer, piece) };
  if (peer === undefined) return [ours];
  const native = peer(folder);
  return [ours, { provider: 'tokenizers (native)', encode: (piece) => native.encode(piece) }];
}

const encodeOurs = (tokenizer: Tokenizer, text: string): ArrayLike<number> =>
  encodePieces(tokenizer, [{ text, continues: false, endsDocument: false, readBytes: 0 }], true);

function* pieces(text: string): Generator<string> {
  for (let start = 0; start < text.length; start += pieceLength)
    yield text.slice(start, start + pieceLength).toWellFormed();
}

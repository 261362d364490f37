import { basename } from 'node:path';
import type { Command } from 'commander';
import { loadTokenizer } from '../../lib/data/tokenizer.js';
import { benchDevice } from '../../lib/cli/bench/device.js';
import { appendToLedger } from '../../lib/cli/bench/ledger.js';
import { positiveInteger } from '../../lib/cli/options.js';
import { renderTable } from '../../lib/cli/table.js';
import type { Terminal } from '../../lib/cli/terminal.js';
import type { TokenizerParityRow } from '../parity/tokenizer-parity-row.js';
import { mixedLines } from '../parity/mixed-lines.js';
import { nativeTokenizers } from '../peers/native-tokenizers.js';

const help = `
The same lines in every run, of all scripts, emoji, code and control characters, are encoded by this package and by the npm
package tokenizers (Hugging Face's, native), and the ids decoded by both.

Example:
  npm install --prefix /tmp/peer tokenizers && scripts/bench tokenizer-parity models/* --peer /tmp/peer`;

interface ParityFlags {
  readonly peer: string;
  readonly lines: number;
  readonly ledger?: string;
}

export function registerTokenizerParity(bench: Command, terminal: Terminal): void {
  bench
    .command('tokenizer-parity')
    .summary('ids and texts of mixed lines, beside the native tokenizers')
    .description('Counts the lines of which two implementations of a tokenizer make the same.')
    .argument('<folders...>', 'folders with a tokenizer.json')
    .requiredOption('--peer <folder>', 'where the npm package tokenizers is installed')
    .option('--lines <count>', 'lines that are compared', positiveInteger, 10_000)
    .option('--ledger <file>', 'append the counts as JSON lines')
    .addHelpText('after', help)
    .action((folders: readonly string[], flags: ParityFlags) => tokenizerParity(folders, flags, terminal));
}

async function tokenizerParity(
  folders: readonly string[],
  { peer, lines: count, ledger }: ParityFlags,
  terminal: Terminal,
): Promise<void> {
  const open = nativeTokenizers(peer);
  const lines = mixedLines(count);
  const rows: TokenizerParityRow[] = [];
  for (const folder of folders) {
    const [ours, theirs] = [await loadTokenizer(folder), open(folder)];
    let [equalIds, equalTexts, firstDifference] = [0, 0, undefined as string | undefined];
    for (const line of lines) {
      const ids = await theirs.encode(line);
      const hasEqualIds = Array.from(ours.encode(line)).join() === ids.join();
      const hasEqualText = ours.decode(ids) === (await theirs.decode(ids));
      equalIds += Number(hasEqualIds);
      equalTexts += Number(hasEqualText);
      if (!hasEqualIds || !hasEqualText) firstDifference ??= JSON.stringify(line);
    }
    if (firstDifference !== undefined)
      terminal.line(`${basename(folder)} differs first in ${firstDifference}`);
    const row = { case: 'tokenizer parity', provider: 'compact-train', metric: 'equal lines', unit: 'lines' };
    rows.push({ ...row, shape: basename(folder), dtype: 'ids', numLines: count, equalIds, equalTexts });
  }
  terminal.object({ type: 'tokenizer-parity', rows });
  terminal.line(
    renderTable(
      [
        { title: 'tokenizer' },
        { title: 'equal ids', align: 'right' },
        { title: 'equal texts', align: 'right' },
      ],
      rows.map(({ shape, equalIds, equalTexts }) => [shape, String(equalIds), String(equalTexts)]),
    ),
  );
  if (ledger !== undefined) appendToLedger(ledger, rows, benchDevice('cpu', 1));
}

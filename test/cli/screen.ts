/**
 * What stands on a screen after a program has written to it: lines, cursor movements, and the sequences that progress
 * bars use (clearing to the end of the line, saving and restoring the cursor). Colours are left out.
 */
export function screenOf(output: string, columns: number): string[] {
  const rows: string[][] = [[]];
  let [y, x] = [0, 0];
  let saved: [number, number] = [0, 0];
  const row = (): string[] => (rows[y] ??= []);
  // oxlint-disable-next-line no-control-regex
  for (const [token] of output.matchAll(/\x1b\[[\d;?]*[A-Za-z]|\x1b[78]|[\s\S]/g)) {
    const sequence = token.startsWith('\x1b') ? token.slice(1) : undefined;
    if (token === '\r') x = 0;
    else if (token === '\n') y++;
    else if (sequence === '7') saved = [y, x];
    else if (sequence === '8') [y, x] = saved;
    else if (sequence === '[2K') row().length = 0;
    else if (sequence === '[K' || sequence === '[0K') row().length = Math.min(row().length, x);
    else if (sequence?.endsWith('G') === true) x = Number(sequence.slice(1, -1) || 1) - 1;
    else if (sequence === undefined && token >= ' ') {
      if (x === columns) [y, x] = [y + 1, 0];
      row()[x++] = token;
    }
  }
  const lines = Array.from(rows, (cells) => Array.from(cells ?? [], (cell) => cell ?? ' ').join(''));
  return lines.map((line) => line.trimEnd());
}

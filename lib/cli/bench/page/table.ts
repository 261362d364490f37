import { escapeText as escape } from '../charts/svg.js';

/** Cells are markup; the caller escapes them. */
export interface Cell {
  readonly html: string;
  readonly className?: string;
  /** What the column is called where there is no room for its head. */
  readonly label?: string;
}

export interface HtmlTable {
  readonly caption: string;
  readonly columns: readonly string[];
  /** The first cell of a row is its head. */
  readonly rows: readonly (readonly (Cell | string)[])[];
  readonly className?: string;
}

/** A table with a caption and heads of rows and columns, which scrolls inside itself where the screen is too narrow. */
export function htmlTable({ caption, columns, rows, className = '' }: HtmlTable): string {
  const head = columns.map((title) => `<th scope="col">${escape(title)}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map(cellHtml).join('')}</tr>`).join('\n');
  return `<div class="scroll" role="region" tabindex="0" aria-label="${escape(caption)}"><table class="${className}">
<caption><span>${escape(caption)}</span></caption>
<thead><tr>${head}</tr></thead><tbody>
${body}
</tbody></table></div>`;
}

function cellHtml(cell: Cell | string, column: number): string {
  const { html, className, label }: Cell = typeof cell === 'string' ? { html: cell } : cell;
  const attributes =
    (className === undefined ? '' : ` class="${className}"`) +
    (label === undefined ? '' : ` data-label="${escape(label)}"`);
  return column === 0 ? `<th scope="row"${attributes}>${html}</th>` : `<td${attributes}>${html}</td>`;
}

/** A word beside what it marks. */
export const tag = (word: string, className = ''): string =>
  `<small class="tag ${className}">${escape(word)}</small>`;

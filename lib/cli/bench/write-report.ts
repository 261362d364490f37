import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a report lies in its three forms. */
export interface ReportFiles {
  readonly data: string;
  readonly figure: string;
  readonly page: string;
}

/** Writes a report in its three forms, NAME.json, .svg and .html; the numbers are the same in all of them. */
export function writeReport(
  folder: string,
  name: string,
  report: object,
  { figure, page }: { readonly figure: string; readonly page: string },
): ReportFiles {
  const fileOf = (extension: string): string => join(folder, `${name}.${extension}`);
  const files = { data: fileOf('json'), figure: fileOf('svg'), page: fileOf('html') };
  writeFileSync(files.data, `${JSON.stringify(report)}\n`);
  writeFileSync(files.figure, figure);
  writeFileSync(files.page, page);
  return files;
}

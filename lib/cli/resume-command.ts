/** The command line that goes on with a run, ready for a shell: the words of the run itself, told to resume. */
export function resumeCommand(args: readonly string[]): string {
  const words = ['compact-train', ...withoutOption(args, '--resume-from-checkpoint')];
  if (process.env['npm_command'] === 'exec') words.unshift('npx');
  return [...words, '--resume-from-checkpoint', 'auto'].map(quoted).join(' ');
}

function withoutOption(args: readonly string[], option: string): string[] {
  return args.filter(
    (word, i) => word !== option && !word.startsWith(`${option}=`) && args[i - 1] !== option,
  );
}

const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

import { SingleBar } from 'cli-progress';
import { formatBytes, formatDuration, formatRate, formatSmall } from './format.js';
import type { StepReport } from '../train/index.js';
import type { Terminal } from './terminal.js';

/**
 * How far a training run is: one live line where a person is watching, a plain line every so many steps in a pipe or
 * a log, nothing with --quiet or --json.
 */
export class Progress {
  readonly #terminal: Terminal;
  readonly #loggingSteps: number;
  #bar: SingleBar | undefined;
  #startedAt = performance.now();
  #firstStep: number | undefined;
  #heldOut = '';

  constructor(terminal: Terminal, loggingSteps: number) {
    this.#terminal = terminal;
    this.#loggingSteps = Math.max(1, loggingSteps);
  }

  step(report: StepReport): void {
    this.#firstStep ??= report.step - 1;
    if (this.#terminal.isInteractive) this.#draw(report);
    else if (report.step % this.#loggingSteps === 0 || report.step === report.maxSteps) this.#print(report);
  }

  /** Leaves the last state of the bar on the screen and ends it. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #draw(report: StepReport): void {
    if (this.#bar === undefined) {
      this.#bar = new SingleBar({
        format: '{bar} {value}/{total}  loss {loss}  {rate}  {bytes}  {eta_text}{held_out}',
        barCompleteChar: '━',
        barIncompleteChar: '─',
        barsize: Math.max(8, Math.min(32, this.#terminal.columns - 78)),
        hideCursor: true,
        stream: process.stdout,
        fps: 8,
        // Signals belong to the command: the first one must finish the step.
        gracefulExit: false,
      });
      this.#bar.start(report.maxSteps, report.step, this.#payload(report));
    }
    this.#bar.update(report.step, this.#payload(report));
  }

  #payload(report: StepReport): Record<string, string> {
    if (report.evaluation !== undefined) this.#heldOut = `  held out ${report.evaluation.loss.toFixed(3)}`;
    return {
      held_out: this.#heldOut,
      loss: report.loss.toFixed(3),
      rate: formatRate(report.tokensPerSecond),
      bytes: formatBytes(report.memory.allocatedBytes),
      eta_text: `ETA ${formatDuration(this.#secondsLeft(report))}`,
    };
  }

  #print(report: StepReport): void {
    const parts = [
      `step ${report.step}/${report.maxSteps}`,
      `loss ${report.loss.toFixed(4)}`,
      `lr ${formatSmall(report.learningRate)}`,
      ...(report.gradNorm === undefined ? [] : [`grad norm ${formatSmall(report.gradNorm)}`]),
      formatRate(report.tokensPerSecond),
      formatBytes(report.memory.allocatedBytes),
      `ETA ${formatDuration(this.#secondsLeft(report))}`,
    ];
    this.#terminal.line(parts.join('  '));
    if (report.evaluation !== undefined)
      this.#terminal.line(
        `  held out: loss ${report.evaluation.loss.toFixed(4)}, perplexity ${report.evaluation.perplexity.toFixed(2)}`,
      );
    if (report.checkpoint !== undefined) this.#terminal.line(`  saved ${report.checkpoint.path}`);
  }

  #secondsLeft(report: StepReport): number {
    const done = report.step - this.#firstStep!;
    const elapsed = (performance.now() - this.#startedAt) / 1000;
    return (elapsed / done) * (report.maxSteps - report.step);
  }
}

import { formatBytes, formatDuration, formatEvaluation, formatRate, formatSmall } from './format.js';
import type { EvaluateReport, StepReport } from '../train/index.js';
import type { Terminal } from './terminal.js';

/**
 * How far a training run is: one live line where a person is watching, a plain line every so many steps in a pipe or
 * a log, nothing with --quiet or --json.
 */
export class Progress {
  readonly #terminal: Terminal;
  readonly #loggingSteps: number;
  #startedAt = performance.now();
  #firstStep: number | undefined;
  #heldOut: EvaluateReport | undefined;

  constructor(terminal: Terminal, loggingSteps: number) {
    this.#terminal = terminal;
    this.#loggingSteps = Math.max(1, loggingSteps);
  }

  step(report: StepReport): void {
    this.#firstStep ??= report.step - 1;
    this.#heldOut = report.evaluation ?? this.#heldOut;
    if (this.#terminal.isInteractive) this.#terminal.status(this.#statusLine(report));
    else this.#print(report);
  }

  /** Leaves the last state of the run on the screen. */
  stop(): void {
    this.#terminal.endStatus();
  }

  #statusLine(report: StepReport): string {
    const { step, maxSteps, loss, tokensPerSecond, memory } = report;
    // The most telling first: what a narrow screen has no room for is left out from the end.
    const parts = [
      `${step}/${maxSteps}`,
      `loss ${loss.toFixed(3)}`,
      `ETA ${formatDuration(this.#secondsLeft(report))}`,
      ...(this.#heldOut === undefined ? [] : [`held out ${this.#heldOut.loss.toFixed(3)}`]),
      formatRate(tokensPerSecond),
      formatBytes(memory.allocatedBytes),
    ];
    return barLine(step / maxSteps, parts, this.#terminal.columns);
  }

  /** Evaluations and saves are told always, steps every so many. */
  #print(report: StepReport): void {
    const { step, maxSteps, evaluation, checkpoint } = report;
    const isDue = step === 1 || step % this.#loggingSteps === 0 || step === maxSteps;
    if (isDue) this.#terminal.line(this.#stepLine(report));
    if (evaluation !== undefined)
      this.#terminal.line(`  held out after step ${step}: ${formatEvaluation(evaluation)}`);
    if (checkpoint !== undefined) this.#terminal.line(`  saved ${checkpoint.path}`);
  }

  #stepLine(report: StepReport): string {
    const { rewardsMargin } = report.metrics ?? {};
    const parts = [
      `step ${report.step}/${report.maxSteps}`,
      `loss ${report.loss.toFixed(4)}`,
      ...(rewardsMargin === undefined ? [] : [`margin ${rewardsMargin.toFixed(4)}`]),
      `lr ${formatSmall(report.learningRate)}`,
      ...(report.gradNorm === undefined ? [] : [`grad norm ${formatSmall(report.gradNorm)}`]),
      formatRate(report.tokensPerSecond),
      formatBytes(report.memory.allocatedBytes),
      `ETA ${formatDuration(this.#secondsLeft(report))}`,
    ];
    return parts.join('  ');
  }

  #secondsLeft(report: StepReport): number {
    const done = report.step - this.#firstStep!;
    const elapsed = (performance.now() - this.#startedAt) / 1000;
    return (elapsed / done) * (report.maxSteps - report.step);
  }
}

/** A bar and as many of the parts behind it as a screen has room for; one column stays free, so no screen wraps it. */
export function barLine(share: number, parts: readonly string[], columns: number): string {
  const shown: string[] = [];
  let length = 0;
  for (const part of parts) {
    const longer = length + part.length + (shown.length === 0 ? 0 : 2);
    if (longer > columns - 1) break;
    shown.push(part);
    length = longer;
  }
  const text = shown.join('  ');
  const width = Math.min(32, columns - 1 - length - 1);
  if (width < 8) return text;
  const done = Math.round(width * Math.min(1, Math.max(0, share)));
  return `${'━'.repeat(done)}${'─'.repeat(width - done)} ${text}`;
}

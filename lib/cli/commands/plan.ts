import type { Command } from 'commander';
import { compile, type Accounting } from '../../compile/index.js';
import { compactError } from '../../errors.js';
import { largestBatch, memoryReport, remedies } from '../../memory/index.js';
import { llamaPresets } from '../../models/index.js';
import { deviceTarget } from '../../runtime/index.js';
import { loadModel } from '../../train/weights/load-model.js';
import { resolveOptions } from '../../train/options/options.js';
import { compileOptionsOf } from '../../train/start.js';
import type { CommandContext } from '../command-context.js';
import { printError } from '../error-message.js';
import { exitCodes, type ExitCode } from '../exit-codes.js';
import { choice } from '../options.js';
import { alternatives, baselines, variant, type PlanVariant } from '../plan-variants.js';
import { plannedThreads } from '../planned-threads.js';
import {
  doesNotFit,
  printComparison,
  printPlan,
  type ComparedPlan,
  type PlanSubject,
} from '../print-plan.js';
import { addRecipeFlags, methodName, withRecipeFlags, type RecipeFlags } from '../recipe-flags.js';
import { readRecipeFile, setRecipeValue, type RecipeFile } from '../recipe-file.js';
import { trainerOptions } from '../recipe.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

/** What is planned without a recipe, besides the model. */
const defaults = { batchSize: 16, sequenceLength: 256, dtype: 'bf16' } as const;

/** What a recipe must say and no plan depends on. */
const unplanned = { data: { train: 'any' }, maxSteps: 1, learningRate: 1 } as const;

const help = {
  prose: () => `
Without a method the methods are compared; with one, or with a recipe, its plan is shown in full, with both dense
baselines beside it. Flags and their words are those of train and of recipes. Without a recipe: ${defaults.batchSize} sequences of
${defaults.sequenceLength} tokens, ${defaults.dtype}. A plan for the CPU is for ${plannedThreads} threads unless --threads says otherwise, on every machine.

Accounting: 'ours' is what this program allocates. 'published' counts as the CompAct paper does: one projection per
weight, bf16 gradients and moments, gradients alive across micro-batches, and all that plain autograd keeps.

With --memory-limit: what fits, the largest batch of each method, and exit code 3 with three remedies if it is too large.`,
  examples: [
    ['compact-train plan -m llama-350m -b 128', 'methods compared'],
    ['compact-train plan -m llama-350m -b 128 --rank-ratio 1/4 --store lazy', 'what is held, and when'],
    ['compact-train plan -m llama-7b -b 4 -s 2048 --memory-limit 80GiB', 'what fits'],
    ['compact-train plan recipe.yaml', 'what training it would need'],
  ],
} as const;

interface PlanFlags extends RecipeFlags {
  readonly accounting: Accounting;
}

export function registerPlan(program: Command, { terminal, finish }: CommandContext): void {
  const command = program
    .command('plan')
    .summary('peak memory of a training run, before it starts')
    .description('Plans one training step to the byte: the peak, what it is for, and what fits on a device.')
    .argument('[recipe]', 'plan what this recipe trains: a path, or the name of a packaged recipe')
    .addOption(
      choice('--accounting <rules>', 'whose bytes are counted', ['ours', 'published']).default('ours'),
    );
  addHelpAfter(command, help);
  addRecipeFlags(command, 'plan').action((recipe: string | undefined, flags: PlanFlags) => {
    finish(plan(subjectOf(recipe, flags), terminal));
  });
}

/** What is to be planned, in the words of a recipe whether there is one or not. */
function subjectOf(recipe: string | undefined, flags: PlanFlags): PlanSubject {
  const file = withRecipeFlags(recipe === undefined ? flagsAlone() : readRecipeFile(recipe), flags);
  const { values } = file;
  values['model'] ??= values['baseModel'];
  if (values['model'] === undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', 'there is no model to plan', {
      expected: `a recipe, or --model with one of ${Object.keys(llamaPresets).join(', ')}`,
      remedy: 'Try compact-train plan --model llama-350m',
    });
  const hasMethod = methodName(values) !== undefined;
  if (!hasMethod && flags['recompute'] !== undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', '--recompute belongs to a method, and none is named', {
      op: '--recompute',
      remedy: 'Add --method dense or --method compact, or leave it out to compare methods with and without',
    });
  if (!hasMethod) setRecipeValue(values, 'method.name=dense');
  if (recipe === undefined) Object.assign(values, unplanned, { model: longEnough(values) });
  values['device'] ??= 'cpu';
  values['threads'] ??= plannedThreads;
  const settings = resolveOptions(trainerOptions(file));
  const { device = 'cpu', threads = plannedThreads, memoryLimitBytes } = settings;
  const options = compileOptionsOf(settings, deviceTarget(device, { threads }));
  const { accounting } = flags;
  return { options: { ...options, accounting }, hasMethod, threads, memoryLimitBytes };
}

const flagsAlone = (): RecipeFile => ({
  name: 'compact-train plan',
  values: { ...defaults },
  locate: () => 'compact-train plan',
});

/** A model is planned at any length of sequence. */
function longEnough({ model, sequenceLength }: Record<string, unknown>): unknown {
  if (typeof model !== 'string') return model;
  const { maxSequenceLength } = loadModel(model);
  const isLong = Number(sequenceLength) > maxSequenceLength;
  return isLong ? { preset: model, maxPositionEmbeddings: sequenceLength } : model;
}

function plan(subject: PlanSubject, terminal: Terminal): ExitCode {
  const { options, hasMethod, memoryLimitBytes: limit } = subject;
  const startedAt = performance.now();
  const asked = hasMethod ? planVariant(variant(options)) : undefined;
  const others = hasMethod && limit === undefined ? baselines(options) : alternatives(options);
  const compared = others.map((other) => (other.name === asked?.name ? asked : planVariant(other)));
  if (asked !== undefined && !compared.includes(asked)) compared.push(asked);
  const planSeconds = (performance.now() - startedAt) / 1000;

  const result = {
    variant: asked?.name,
    ...(asked && figures(asked)),
    atPeak: asked?.report.atPeak,
    planSeconds,
    comparison: compared.map((one) => ({ variant: one.name, ...figures(one) })),
  };
  if (asked !== undefined && !terminal.json) printPlan(terminal, subject, asked);
  if (limit === undefined) {
    terminal.object(result);
    printComparison(terminal, subject, compared, asked);
    return exitCodes.done;
  }
  const largestBatches = compared.map(({ name, options: other }) => {
    const found = largestBatch(other, limit);
    return { variant: name, batch: found?.batchSize ?? 0, peakBytes: found?.peakBytes };
  });
  printComparison(terminal, subject, compared, asked, largestBatches);
  const smallest = compared.toSorted((a, b) => a.report.peakBytes - b.report.peakBytes)[0]!;
  const judged = asked ?? smallest;
  const fits = judged.report.peakBytes <= limit;
  const limited = { ...result, memoryBytes: limit, fits, largestBatches };
  if (fits) {
    terminal.object(limited);
    return exitCodes.done;
  }
  const error = doesNotFit(subject, judged, limit, remedies(judged.options, limit));
  terminal.object({ ...limited, ...error.details });
  if (!terminal.json) printError(terminal, error);
  return exitCodes.doesNotFit;
}

const planVariant = ({ name, options }: PlanVariant): ComparedPlan => ({
  name,
  options,
  report: memoryReport(compile(options)),
});

function figures({ report }: ComparedPlan): object {
  const { peakBytes, persistentBytes, arenaBytes, arenaLowerBoundBytes, byKind } = report;
  return { peakBytes, persistentBytes, arenaBytes, arenaLowerBoundBytes, byKind };
}

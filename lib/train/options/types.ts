import type { RecomputePolicy } from '../../compile/index.js';
import type { DataOptions, RecordDataOptions } from '../../data/index.js';
import type { PreferenceOptions } from '../../graph/index.js';
import type { Method } from '../../methods/index.js';
import type { Model } from '../../models/index.js';
import type { BestModelMetric } from '../evaluation/best-metric.js';
import type { LearningRateScheduleName } from '../schedule/learning-rate-schedule.js';
import type { BlasChoice, DeviceName, GraphChoice } from '../../runtime/index.js';

/** Options of `Trainer.create`; a recipe has the same words. */
export interface TrainerOptions {
  /** What is trained, e.g. llama('llama-demo'). */
  readonly model: Model;
  /** dense(...) or compact(...); optimizer settings (betas, epsilon, weightDecay) are the method's. */
  readonly method: Method;
  /** Running text, or records that are documents of their own, and how they become tokens. */
  readonly data: DataOptions | RecordDataOptions;
  /**
   * Weights to start from, in place of random ones: a folder in the layout of Hugging Face's checkpoints, such as a
   * downloaded model or a checkpoint of this package; model.safetensors or its shards, F32, F16, BF16 or F64. `model` is
   * `loadModel` of the same folder, and the tokenizer is the folder's unless `data` names another. A run that goes on
   * from a checkpoint does not need it.
   */
  readonly baseModel?: string;
  /**
   * Adapters of the base model to start from, in place of new ones: a folder of Hugging Face's PEFT. For methods with
   * adapters (`lora`, `qlora`, ...), of the same weights, rank and scale. A run that goes on from a checkpoint does not
   * need it.
   */
  readonly adapter?: string;
  /**
   * Given: `data` are records of preference pairs, which are learnt by DPO (direct preference optimization, Rafailov et al.
   * 2023, arXiv 2305.18290, eq. 7) against the model that the run starts from; all of it has defaults. A pair is two
   * sequences, so `batchSize` is even. Absent: tokens or classes are learnt.
   */
  readonly preference?: PreferenceOptions;
  /** Checkpoints, metrics.jsonl and the tokenised text go here. Absent: nothing is written. */
  readonly outputDirectory?: string;
  /** A folder, 'latest' (must exist in the output folder), or 'auto' (latest if there is one, else from scratch). */
  readonly resumeFromCheckpoint?: 'latest' | 'auto' | (string & {});

  /** Sequences of one micro-batch. */
  readonly batchSize: number;
  /** Tokens of one sequence. */
  readonly sequenceLength: number;
  /** Micro-batches of one optimizer step. Default 1. */
  readonly gradientAccumulationSteps?: number;
  /** Optimizer steps of the whole run, those before a resume included; this or `numTrainEpochs`. */
  readonly maxSteps?: number;
  /** The same in passes over the training data; a part of a pass counts. */
  readonly numTrainEpochs?: number;
  /** Peak learning rate: of matrices, and of everything that is given no rate of its own below. */
  readonly learningRate: number;
  /** Peak rate of the embeddings, tied ones included. Default `learningRate`; all follow the same schedule. */
  readonly embeddingLearningRate?: number;
  /** Peak rate of the output head; refused where the head is the embedding table. Default `learningRate`. */
  readonly headLearningRate?: number;
  /** Peak rate of norm weights and biases. Default `learningRate`. */
  readonly normLearningRate?: number;
  /**
   * Multiplies all rates once more in each layer from the last to the first, and once more for the embeddings, so that what is
   * nearer to the input learns more slowly: at a factor of this to the power of n + 1 - k in layer k of n, the embeddings
   * being layer 0, and of 1 in the head. Default: one rate for all layers.
   */
  readonly layerLearningRateDecay?: number;
  /** The course of the learning rate, by its name in transformers. Default 'linear'. */
  readonly lrSchedulerType?: LearningRateScheduleName;
  /** Steps from 0 to the peak; give this or `warmupRatio`. Default 0. */
  readonly warmupSteps?: number;
  /** The same as a share of `maxSteps`. */
  readonly warmupRatio?: number;
  /** Last learning rate as a share of the peak ('cosine_with_min_lr', 'warmup_stable_decay'). */
  readonly minLrRate?: number;
  /** Clip the gradient's global norm to this (compressed gradients count as they are); 0 does not clip. Default 0. */
  readonly maxGradNorm?: number;
  /** Of initial weights, data order and stochastic rounding. Default 42. */
  readonly seed?: number;
  /** Of parameters and activations. Default 'f32'. */
  readonly dtype?: 'f32' | 'bf16';
  /** Of weight gradients. Default 'f32'. */
  readonly gradientDtype?: 'f32' | 'bf16';
  /**
   * What backward rebuilds instead of keeping it: nothing ('none'), what costs next to nothing ('cheap'), or all but the
   * inputs of each layer ('layer'). Default 'none'.
   */
  readonly recompute?: RecomputePolicy;
  /** Each update right after its gradient ('layer', the smaller peak) or all after backward ('end'). Default 'layer'. */
  readonly updatePlacement?: 'layer' | 'end';
  /** Tokens whose logits exist at a time; fewer take less memory. Default 1024. */
  readonly lossChunkTokens?: number;

  /** Optimizer steps between evaluations, or below 1 their share of the run; 0 never. Default 0. */
  readonly evalSteps?: number;
  /** Sequences of one evaluation at most. Default: all that are held out. */
  readonly evalSequences?: number;
  /**
   * What evaluations are compared by: 'loss', the lowest, or what they measure of labels, the highest: 'accuracy', 'macroF1',
   * 'matthewsCorrelation', of two classes 'f1', of any number at once 'microF1', of a regression 'pearsonCorrelation' or 'spearmanCorrelation'; of preference pairs
   * 'rewardsAccuracy' or 'rewardsMargin'. Default 'loss'.
   */
  readonly metricForBestModel?: BestModelMetric;
  /** Ends the run after so many evaluations in a row that are not better than the best before them; 0 does not. Default 0. */
  readonly earlyStoppingPatience?: number;
  /**
   * Whether the weights at the end are those of the best evaluation, which is saved when it is found, and not those of the
   * last step. Default false.
   */
  readonly loadBestModelAtEnd?: boolean;
  /** Optimizer steps between checkpoints, or below 1 their share of the run; 0: only at the end. Default 0. */
  readonly saveSteps?: number;
  /** Checkpoints to keep beside the best one; 0 keeps all. Default 2. */
  readonly saveTotalLimit?: number;
  /** Steps between lines of metrics.jsonl. Default 10. */
  readonly loggingSteps?: number;
  /** The same metrics go to a folder as event files of TensorBoard: `tensorboard --logdir <folder>`. Absent: none do. */
  readonly loggingDirectory?: string;

  /** 'cpu', 'cuda', 'cuda:N', or 'auto': a GPU where one can be used. Default 'auto'. */
  readonly device?: DeviceName;
  /** Worker threads of the CPU. Default: physical cores. */
  readonly threads?: number;
  /** Of the CPU; lower ones exist for tests. Default 'auto', the best that this machine has. */
  readonly instructionSet?: string;
  /** Whose products a GPU runs: 'own', 'vendor' (cuBLASLt) or 'auto'. Default 'own'. */
  readonly blas?: BlasChoice;
  /** Whether runs go to a GPU as graphs: 'auto', 'on' or 'off'. Results are the same. Default 'auto'. */
  readonly graphs?: GraphChoice;
  /**
   * Refuse to start when the plan needs more: ERR_COMPACT_DOES_NOT_FIT, nothing allocated, nothing written. A number, or
   * text with a unit: '24GiB'. Default: what there is.
   */
  readonly memoryLimitBytes?: number | string;
  /**
   * Ends the start, leaving nothing behind, or the iteration before the next micro-batch, where weights stay those of
   * the last step: ERR_COMPACT_ABORTED.
   */
  readonly signal?: AbortSignal;
  /** Called about four times a second while text is tokenised, with bytes of its files. */
  readonly onTokenize?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  /** Called about four times a second while the answers of preference pairs are read by the model that the run starts from. */
  readonly onReference?: (progress: { readonly numDone: number; readonly numAnswers: number }) => void;
}

/** Milliseconds of one optimizer step by what they were spent on; they sum to `totalMs` but for bookkeeping. */
export interface StepTime {
  /** Waiting for the batch. */
  readonly dataMs: number;
  /** Forward and backward, and the update where it is part of the same run. */
  readonly computeMs: number;
  /** The update where it is a run of its own (accumulation, clipping). */
  readonly updateMs: number;
  /** What the method does between steps, e.g. moving moments to new projections. */
  readonly refreshMs: number;
  /** The evaluation, if one was due. */
  readonly evaluateMs: number;
  /** The checkpoint, if one was due. */
  readonly saveMs: number;
  readonly totalMs: number;
}

/** Bytes of a run: planned, allocated, and of the whole process. */
export interface MemoryUse {
  /** What the plan says: persistent region plus arena. */
  readonly plannedBytes: number;
  /** What the engine's allocator holds; equal to the plan. */
  readonly allocatedBytes: number;
  /** What a GPU lost beside: context, code and queues; 0 for the CPU. */
  readonly overheadBytes: number;
  /** Resident bytes of the whole process. */
  readonly processBytes: number;
}

/** One optimizer step. */
export interface StepReport {
  /** 1 for the first. */
  readonly step: number;
  /** Optimizer steps of the whole run. */
  readonly maxSteps: number;
  /** Passes over the training data so far, with its fraction. */
  readonly epoch: number;
  /** Mean over the counted tokens of the step, before its update. */
  readonly loss: number;
  /** Of preference pairs: what `EvaluateReport.metrics` has of them, before the update. */
  readonly metrics?: Readonly<Record<string, number>>;
  /** Of matrices; rates of roles are to it as their peaks are to `learningRate`. */
  readonly learningRate: number;
  /** Global norm before clipping; only when clipping is on. */
  readonly gradNorm?: number;
  /** Tokens that were predicted in this step. */
  readonly numTokens: number;
  /** Since the very first step. */
  readonly numTokensSeen: number;
  /** Of data, compute, update and refresh; evaluation and saving left out. */
  readonly tokensPerSecond: number;
  readonly time: StepTime;
  readonly memory: MemoryUse;
  /** The evaluation that followed the step, if one was due. */
  readonly evaluation?: EvaluateReport;
  /** The checkpoint that followed the step, if one was due. */
  readonly checkpoint?: CheckpointInfo;
}

/** Loss of held-out data. */
export interface EvaluateReport {
  /** Optimizer steps that the model had then. */
  readonly step: number;
  /**
   * Mean cross-entropy in nats per token, or of classes per sequence; of a regression the mean squared error; of preference
   * pairs the loss of a pair.
   */
  readonly loss: number;
  /** exp(loss), of tokens. */
  readonly perplexity?: number;
  /** Tokens that were predicted, or labels, or preference pairs. */
  readonly numTokens: number;
  /**
   * Of a model for classes: `accuracy`, `macroF1`, `matthewsCorrelation`, and for two classes `f1` of the second. Of
   * any number of classes at once: `accuracy`, the share of sequences all of whose classes are right, `macroF1`, `microF1`. Of a
   * regression: `pearsonCorrelation` and `spearmanCorrelation`, NaN where all labels or predictions are one number. Of preference
   * pairs: the rewards `beta (log-probability - that of the reference)` of better and worse answers, `rewardsChosen` and
   * `rewardsRejected`; `rewardsMargin`, what the first are above the second; `rewardsAccuracy`, the share of pairs where they
   * are; and the log-probabilities of the answers, `logProbabilitiesChosen` and `logProbabilitiesRejected`.
   */
  readonly metrics?: Readonly<Record<string, number>>;
  readonly durationMs: number;
}

/** A checkpoint that was written. */
export interface CheckpointInfo {
  /** `<outputDirectory>/checkpoint-<step>`. */
  readonly path: string;
  readonly step: number;
  /** Of its files together. */
  readonly numBytes: number;
  /** Whether its evaluation is the best so far. */
  readonly isBest: boolean;
  readonly durationMs: number;
}

/** A message of a conversation. */
export interface SampleMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** How text is written. */
export interface SampleOptions {
  /** Text to go on from; default: the end-of-text token, or a newline where there is none. */
  readonly prompt?: string;
  /** A conversation to answer, in place of a prompt, by the chat template of the model. */
  readonly messages?: readonly SampleMessage[];
  /**
   * Whether the text of a control token in the prompt, e.g. `</s>`, is text like any other; false makes it the control
   * token, as templates of chats need. Default true.
   */
  readonly splitSpecialTokens?: boolean;
  /** Tokens to write at most. Default 128. */
  readonly maxNewTokens?: number;
  /** Divides the logits: below 1 surer, above 1 wilder; 0 takes the likeliest token. Default 1. */
  readonly temperature?: number;
  /** Keep the k likeliest tokens; 0 keeps all. Default 0. */
  readonly topK?: number;
  /** Keep the likeliest tokens that together have this probability. Default 1. */
  readonly topP?: number;
  /** Equal seeds give equal text. Default 42. */
  readonly seed?: number;
  /** Texts that end the writing where they come; they are not told. Default none. */
  readonly stop?: readonly string[];
  /** Ends the writing with ERR_COMPACT_ABORTED. */
  readonly signal?: AbortSignal;
  /** Called with the text of each token as it comes, in whole characters; all pieces together are the report's text. */
  readonly onText?: (text: string) => void;
}

/** How several texts are written at a time. */
export type SampleBatchOptions = Omit<SampleOptions, 'prompt' | 'messages' | 'onText'>;

/** Text that was written. */
export interface SampleReport {
  readonly prompt: string;
  /** What follows the prompt: `prompt + text` is the whole. */
  readonly text: string;
  /** Tokens that were written. */
  readonly numTokens: number;
  readonly tokensPerSecond: number;
  /**
   * 'endOfText' when the model ended the text itself, 'stop' at a stop string, 'length' after `maxNewTokens`,
   * 'contextLength' where prompt and text fill the context.
   */
  readonly finishReason: 'length' | 'endOfText' | 'stop' | 'contextLength';
}

/** The checkpoint with the best evaluation of a run. */
export interface BestModel {
  readonly path: string;
  readonly step: number;
  /** What evaluations were compared by, and what this one had. */
  readonly metric: BestModelMetric;
  readonly value: number;
}

/** What a run has come to. */
export interface TrainResult {
  /** 'stopped' after requestStop(), 'earlyStopped' by `earlyStoppingPatience`. */
  readonly reason: 'completed' | 'stopped' | 'earlyStopped';
  /** Optimizer steps done, those before a resume included. */
  readonly step: number;
  /** Loss of the last step; undefined when no step was left to do. */
  readonly loss: number | undefined;
  /** The last one of this iteration. */
  readonly evaluation: EvaluateReport | undefined;
  /** The newest checkpoint on disk. */
  readonly checkpoint: CheckpointInfo | undefined;
  /** The checkpoint whose weights the trainer has now, where `loadBestModelAtEnd` has loaded another than the last. */
  readonly bestModel: BestModel | undefined;
  /** Since the very first step. */
  readonly numTokensSeen: number;
  readonly tokensPerSecond: number;
  /** From the start of this iteration. */
  readonly durationMs: number;
  readonly memory: MemoryUse;
}

/** Events of a trainer, with the arguments of their listeners. Listeners are never waited for. */
export interface TrainerEvents {
  step: [StepReport];
  evaluate: [EvaluateReport];
  checkpoint: [CheckpointInfo];
  /**
   * What a method changed in a step or after it, with numbers of its own: `projectionEpoch` of `compact` and `apollo`,
   * `subspaceEpoch` of `galore`, `adapterRestarts` of `relora`, `trainedBlock` of `badam`.
   */
  refresh: [Readonly<Record<string, number>> & { readonly step: number }];
  end: [TrainResult];
  /** What went wrong in work that the run does not depend on; it goes on. */
  warning: [Error];
}

import type { Hyperparameters } from './job-details.js';

/** What a client sends to create a job, after the check against its schema. */
export interface JobBody {
  readonly model: string;
  readonly training_file: string;
  readonly validation_file?: string | null;
  readonly hyperparameters?: Hyperparameters;
  readonly method?: {
    readonly type: 'supervised' | 'dpo';
    readonly supervised?: { readonly hyperparameters?: Hyperparameters };
    readonly dpo?: { readonly hyperparameters?: Hyperparameters };
  };
  readonly suffix?: string | null;
  readonly seed?: number | null;
  readonly metadata?: Readonly<Record<string, string>> | null;
  readonly integrations?: readonly object[] | null;
  /** Options of this package: `CompactJobOptions`. */
  readonly compact?: Readonly<Record<string, unknown>>;
}

const auto = { const: 'auto' } as const;
const number = (description: string, range: object) => ({
  description: `${description}, or 'auto'`,
  anyOf: [auto, { type: 'number', ...range }],
});

const supervised = {
  n_epochs: number('passes over the training file, above 0, at most 1000', {
    exclusiveMinimum: 0,
    maximum: 1000,
  }),
  batch_size: {
    description: "examples of a step, a whole number from 1 to 65536, or 'auto'",
    anyOf: [auto, { type: 'integer', minimum: 1, maximum: 65536 }],
  },
  learning_rate_multiplier: number('a factor of the usual learning rate, above 0, at most 1000', {
    exclusiveMinimum: 0,
    maximum: 1000,
  }),
};
const dpo = {
  ...supervised,
  beta: number('how strongly the model is held to its reference, above 0, at most 100', {
    exclusiveMinimum: 0,
    maximum: 100,
  }),
};

const object = (description: string, properties: object, required: readonly string[] = []) => ({
  type: 'object',
  description,
  properties,
  required,
  additionalProperties: false,
});
const hyperparameters = (properties: object) =>
  object("{ n_epochs, batch_size, learning_rate_multiplier }, each a number or 'auto'", properties);

const fileId = {
  type: 'string',
  description: 'the id of a file that was uploaded',
  pattern: '^[\\x21-\\x7e]{1,100}$',
};

/** Of the body that creates a job. */
export const jobBodySchema = object(
  'a job, { model, training_file, ... }',
  {
    model: {
      type: 'string',
      description: 'the name of a model, one of GET /v1/models',
      minLength: 1,
      maxLength: 300,
    },
    training_file: fileId,
    validation_file: { ...fileId, type: ['string', 'null'] },
    hyperparameters: hyperparameters(supervised),
    method: object(
      '{ type, supervised } or { type, dpo }',
      {
        type: { enum: ['supervised', 'dpo'], description: "'supervised' or 'dpo'" },
        supervised: object('{ hyperparameters }', { hyperparameters: hyperparameters(supervised) }),
        dpo: object('{ hyperparameters }', { hyperparameters: hyperparameters(dpo) }),
      },
      ['type'],
    ),
    suffix: {
      type: ['string', 'null'],
      description: 'at most 64 letters, digits, dots, underscores and hyphens',
      pattern: '^[A-Za-z0-9._-]{1,64}$',
    },
    seed: {
      type: ['integer', 'null'],
      description: 'a whole number from 0 to 2^53 - 1',
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
    },
    metadata: {
      type: ['object', 'null'],
      description: 'at most 16 texts of 512 characters by names of 64',
      maxProperties: 16,
      propertyNames: { maxLength: 64 },
      additionalProperties: { type: 'string', maxLength: 512 },
    },
    integrations: {
      type: ['array', 'null'],
      description: 'a list of integrations; they are passed over, which an event of the job tells',
      maxItems: 16,
      items: { type: 'object' },
    },
    compact: {
      type: 'object',
      description: 'options of compact-train, { method, learningRate, maxSteps, data, ... }',
    },
  },
  ['model', 'training_file'],
);

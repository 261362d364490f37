export { type CatalogueEntry, type MethodCatalogue, methodCatalogue } from './catalogue.js';
export { adaptableRoles, type AdaptableRole, type AdapterOptions } from './adaptation/adapter-options.js';
export type { BlockOptions } from './adaptation/blocks-in-turn.js';
export type { RestartSettings } from './adaptation/restarted-adapter.js';
export { type Clock, type ClockRules, type ClockStates, type Refresh, StepClock } from './clock.js';
export type { MatrixRole } from './matrix-roles.js';
export { methodFromDescription, methodNames } from './from-description.js';
export type { ClippingSettings } from './gradient-space/clipped.js';
export type { AdapterInputOptions } from './gradient-space/adapter-inputs.js';
export {
  compressibleRoles,
  type CompressibleRole,
  type ProjectionOptions,
} from './gradient-space/projection-options.js';
export type { RankOptions } from './rank-options.js';
export type { TrackedSubspaceOptions } from './gradient-space/tracked-subspace.js';
export type { SubspaceOptions } from './gradient-space/subspace-options.js';
export { formsOf, type Method, type StepRules, type UpdateContext } from './method.js';
export type { AdafactorSettings } from './optimizers/adafactor.js';
export type { AdamMiniSettings } from './optimizers/adam-mini.js';
export type { AdamWSettings } from './optimizers/adamw.js';
export type { ApolloSettings } from './optimizers/apollo.js';
export type { ApolloMiniSettings } from './optimizers/apollo-mini.js';
export type { ScaledGradientSettings } from './optimizers/scaled-gradient.js';
export type { FoamSettings } from './optimizers/foam.js';
export type { LionSettings } from './optimizers/lion.js';
export type { MuonSettings } from './optimizers/muon.js';
export type { RmnpSettings } from './optimizers/rmnp.js';
export type { ScaleSettings } from './optimizers/scale.js';
export type { SgdSettings } from './optimizers/sgd.js';
export type { OptionInfo } from '../options.js';
export { learningRateOf, type StepOptions } from './optimizers/step.js';
export type { OptimizerSettings } from './optimizers/index.js';
export type { StateFormat } from '../graph/index.js';
export type { OptimizerName } from './optimizers/definitions.js';
export type { EmbeddingOptimizerSettings } from './embedding-optimizer.js';
export type { MethodOptions, Preset, PresetInfo } from './preset.js';
export * from './presets/index.js';
export type { Codec, Saving } from './saving/saving.js';
export type { SavingOptions } from './saving/saving-options.js';
export type { WeightOptions } from './weights/weight-options.js';

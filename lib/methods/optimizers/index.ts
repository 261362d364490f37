// Every optimizer: what this file exports is what methods offer, and what they can be told of it.
import type { AdafactorSettings } from './adafactor.js';
import type { AdamMiniSettings } from './adam-mini.js';
import type { AdamWSettings } from './adamw.js';
import type { ApolloSettings } from './apollo.js';
import type { ApolloMiniSettings } from './apollo-mini.js';
import type { FoamSettings } from './foam.js';
import type { LionSettings } from './lion.js';
import type { MuonSettings } from './muon.js';
import type { RmnpSettings } from './rmnp.js';
import type { ScaleSettings } from './scale.js';
import type { SgdSettings } from './sgd.js';

export { adafactor } from './adafactor.js';
export { adamMini } from './adam-mini.js';
export { adamw } from './adamw.js';
export { adamw8bit } from './adamw-8bit.js';
export { apollo } from './apollo.js';
export { apolloMini } from './apollo-mini.js';
export { foam } from './foam.js';
export { lion } from './lion.js';
export { muon } from './muon.js';
export { rmnp } from './rmnp.js';
export { scale } from './scale.js';
export { sgd } from './sgd.js';

/** Settings of every optimizer; which of them may be given depends on the optimizer that is chosen. */
export interface OptimizerSettings
  extends
    AdafactorSettings,
    AdamMiniSettings,
    AdamWSettings,
    ApolloSettings,
    ApolloMiniSettings,
    FoamSettings,
    LionSettings,
    MuonSettings,
    RmnpSettings,
    ScaleSettings,
    SgdSettings {}

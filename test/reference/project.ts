import { weightUpdateInt8 } from './optimizers.js';
import { product } from './product.js';
import { projection, type ProjectionKey } from './projection.js';
import { type StochasticRounding, stochasticallyRounded } from './stochastic-rounding.js';
import { mapElements, type Numbers, type Round, type Tensor } from './tensor.js';

/** z = x P. */
export function project(
  { x }: { x: Tensor },
  { rank, ...key }: Numbers & ProjectionKey & { rank: number },
  round: Round,
) {
  return { z: product(x, projection(x.shape[1]!, rank, key), round) };
}

/** z = P^T x. */
export function projectLeft(
  { x }: { x: Tensor },
  { rank, ...key }: Numbers & ProjectionKey & { rank: number },
  round: Round,
) {
  return { z: product(projection(x.shape[0]!, rank, key), x, round, true) };
}

/** w = w (1 - learningRate weightDecay) - learningRate updateScale (P direction). */
export function projectBackUpdate(
  { weight, direction }: { weight: Tensor; direction: Tensor },
  attributes: Numbers & ProjectionKey & StochasticRounding,
  round: Round,
) {
  const { learningRate, updateScale, weightDecay } = attributes;
  const update = product(projection(weight.shape[0]!, direction.shape[0]!, attributes), direction, round);
  const keep = round(1 - round(learningRate! * weightDecay!));
  const scale = round(learningRate! * updateScale!);
  const updated = mapElements(weight, (w, i) => round(round(w * keep) - round(scale * update.data[i]!)));
  return { weight: stochasticallyRounded(updated, attributes) };
}

/** The same of w = code scale, in groups that are rounded as by a step along P direction. */
export function projectBackUpdateInt8(
  { codes, scales, direction }: { codes: Tensor; scales: Tensor; direction: Tensor },
  attributes: Numbers & ProjectionKey,
  round: Round,
) {
  const p = projection(codes.shape[0]!, direction.shape[0]!, attributes);
  return weightUpdateInt8({ codes, scales, direction: product(p, direction, round) }, attributes);
}

/** moment = P_new^T P_old moment, with both projections (rows, rank). */
export function projectTransfer(
  { moment }: { moment: Tensor },
  { rows, oldEpoch, newEpoch, ...key }: Numbers & Omit<ProjectionKey, 'epoch'>,
  round: Round,
) {
  const rank = moment.shape[0]!;
  const old = projection(rows!, rank, { ...key, epoch: oldEpoch! });
  const fresh = projection(rows!, rank, { ...key, epoch: newEpoch! });
  return { moment: product(fresh, product(old, moment, round), round, true) };
}

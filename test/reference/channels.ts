/** Factors of channels (APOLLO, https://arxiv.org/abs/2412.05270) with a limit of growth (https://arxiv.org/abs/2410.01623). */
import { mapElements, matrixSize, type Numbers, type Round, type Tensor, tensor } from './tensor.js';

/** The channel of each element: its row (axis 0), its column (1), or the only one (2). */
const channelOf = (matrix: Tensor, axis: number, element: number): number => {
  const [, columns] = matrixSize(matrix);
  return [Math.floor(element / columns), element % columns, 0][axis]!;
};

function lengths(matrix: Tensor, axis: number, scale: number, round: Round): number[] {
  const [rows, columns] = matrixSize(matrix);
  const squares = Array.from({ length: [rows, columns, 1][axis]! }, () => 0);
  for (const [i, value] of matrix.data.entries()) {
    const channel = channelOf(matrix, axis, i);
    squares[channel] = round(squares[channel]! + round(round(value * scale) ** 2));
  }
  return squares.map((square) => round(Math.sqrt(square)));
}

interface ChannelFactorsInputs {
  readonly gradient: Tensor;
  readonly compressed: Tensor;
  readonly direction: Tensor;
  readonly previousNorm: Tensor;
  readonly gradientScale?: Tensor;
}

export function channelFactors(
  { gradient, compressed, direction, previousNorm, gradientScale }: ChannelFactorsInputs,
  { axis, epsilon, growthLimit }: Numbers,
  round: Round,
) {
  const scale = gradientScale?.data[0] ?? 1;
  const shares = lengths(direction, axis!, 1, round);
  const ratios = lengths(compressed, axis!, scale, round).map((length, channel) =>
    round(shares[channel]! / round(length + epsilon!)),
  );
  const scaled = mapElements(gradient, (value, i) =>
    round(round(value * scale) * ratios[channelOf(gradient, axis!, i)]!),
  );
  const [norm] = lengths(scaled, 2, 1, round) as [number];
  const [previous] = previousNorm.data as unknown as [number];
  const limiter = previous === 0 ? 1 : Math.max(norm / (previous + epsilon!), growthLimit!) / growthLimit!;
  return {
    factors: tensor(
      [ratios.length],
      ratios.map((ratio) => round(round(ratio * scale) / limiter)),
    ),
    previousNorm: tensor([1], [round(norm / limiter)]),
  };
}

export function scaleChannels(
  { x, factors }: { x: Tensor; factors: Tensor },
  { axis }: Numbers,
  round: Round,
) {
  return { y: mapElements(x, (value, i) => round(value * factors.data[channelOf(x, axis!, i)]!)) };
}

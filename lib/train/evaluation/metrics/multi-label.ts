import { accuracy, f1 } from './classification.js';

/*
 * Measures of predictions of any number of classes at once, as scikit-learn defines them. Lists hold 1 or 0 for each class of
 * a sequence, sequence by sequence.
 */

/** The share of sequences all of whose classes are right, and no others. */
export function exactLabels(
  predictions: ArrayLike<number>,
  labels: ArrayLike<number>,
  numClasses: number,
): number {
  const rows = (values: ArrayLike<number>): readonly string[] =>
    Array.from({ length: values.length / numClasses }, (_, row) =>
      Array.from({ length: numClasses }, (_ignored, label) => values[row * numClasses + label]).join(),
    );
  const [found, right] = [rows(predictions), rows(labels)];
  const isRight = found.map((row, i) => Number(row === right[i]));
  return accuracy(
    isRight,
    isRight.map(() => 1),
  );
}

/** The mean over the classes of F1 of each, 0 of one that is neither right nor predicted anywhere. */
export function meanF1(
  predictions: ArrayLike<number>,
  labels: ArrayLike<number>,
  numClasses: number,
): number {
  const ofClass = (values: ArrayLike<number>, label: number): readonly number[] =>
    Array.from(values).filter((_, at) => at % numClasses === label);
  let sum = 0;
  for (let label = 0; label < numClasses; label++)
    sum += f1(ofClass(predictions, label), ofClass(labels, label));
  return sum / numClasses;
}

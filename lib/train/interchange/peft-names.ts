/*
 * Names of PEFT. A module is what holds a weight, e.g. `model.layers.0.self_attn.q_proj`; its factors stand in files as
 * `base_model.model.<module>.lora_A.weight` and `lora_B`.
 */
export const factorIn = (module: string, letter: 'A' | 'B'): string =>
  `base_model.model.${module}.lora_${letter}.weight`;

/** The module that a factor is of; undefined for what is none. */
export const moduleOfFactor = (name: string): string | undefined =>
  /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(name)?.[1];

export const moduleOfWeight = (tensor: string): string => tensor.replace(/\.weight$/, '');

/**
 * Ends of names by which PEFT finds the modules that have adapters, and no other: the last word where it is enough, else
 * the last two.
 * @param all modules of the model, those with adapters included
 */
export function targetModules(adapted: readonly string[], all: readonly string[]): readonly string[] {
  const others = all.filter((module) => !adapted.includes(module));
  const words = (module: string, count: number): string => module.split('.').slice(-count).join('.');
  const ends = adapted.map((module) => {
    const last = words(module, 1);
    return others.some((other) => words(other, 1) === last) ? words(module, 2) : last;
  });
  return [...new Set(ends)].sort();
}

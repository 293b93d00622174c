import type { Quantiles } from "./protocol.ts";

/** Sorts the values in place. */
export function quantiles(values: number[]): Quantiles {
  values.sort((one, other) => one - other);
  const at = (share: number) =>
    values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

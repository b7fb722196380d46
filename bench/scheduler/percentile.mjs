/** @param share 0.99: all but one of a hundred are no larger */
export function percentile (values, share) {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)]
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null

/**
 * Whether `value`, a tree as `JSON.parse` makes it, nests arrays and objects deeper than `limit`. A scalar has depth 0,
 * `{}` and `[]` have depth 1. Walks level by level and stops at the limit: a body of 10 KB can hold 5,000 levels, which
 * overflow the stack of a recursive walk.
 */
export const exceedsDepth = (value: unknown, limit: number): boolean => {
  let level = [value].filter(isContainer)
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= limit) return true
    level = level.flatMap((container): unknown[] => Object.values(container)).filter(isContainer)
  }
  return false
}

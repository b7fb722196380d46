import { quote } from './kinds.js'

/** In these families every variable is ours, so one that we do not know is a typing error. Platforms set their own DATABASE_* and REDIS_*. */
const ours = /^(?:HOLDFAST|IDEMPOTENCY|JWT|SCHEDULER|SHUTDOWN)_/

/** Levenshtein: the number of characters to insert, delete or replace. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (const [index, character] of [...a].entries()) {
    const next = [index + 1]
    for (let column = 1; column <= b.length; column++) {
      const replaced = row[column - 1]! + (character === b[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[column]! + 1, next[column - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}

/** A shortened name counts as nearest: HOLDFAST_DIR is five edits from HOLDFAST_PREFIX and six from HOLDFAST_DIRECTORY. */
const nearest = (name: string, known: readonly string[]): string | undefined =>
  known.find((candidate) => candidate.startsWith(name)) ?? known.toSorted((a, b) => distance(name, a) - distance(name, b))[0]

/** A sentence for each variable of our families that is set and not known. Its value may be a secret and is not shown. */
export const unknownVariables = (env: NodeJS.ProcessEnv, known: readonly string[]): string[] =>
  Object.entries(env)
    .filter(([name, value]) => ours.test(name) && value && !known.includes(name))
    .map(([name]) => `option ${quote(name)} is not known, the nearest known name is \`${nearest(name, known)}\``)
    .sort()

import { show } from '../options.js'
import { FST_LOCKS_USAGE } from './errors.js'

/** Characters of a name at most, and names of one lock. Any characters: a name may hold what a client has sent. */
const longest = 1_024
const most = 100

/** Sorted, so that two who take the same names never wait for each other crosswise, and without repetition. Throws FST_LOCKS_USAGE. */
export function namesOf (names: string | readonly string[]): readonly string[] {
  const all: readonly unknown[] = Array.isArray(names) ? names : [names]
  if (all.length === 0 || all.length > most) throw new FST_LOCKS_USAGE(`a lock has 1 to ${most} names, got ${all.length}`)
  for (const name of all) if (!isName(name)) throw new FST_LOCKS_USAGE(`the name of a lock must be a string of 1 to ${longest} characters, got ${show(name)}`)
  const texts = (all as readonly string[]).map(textOf)
  return texts.length === 1 ? texts : [...new Set(texts)].sort()
}

/**
 * The name as a store can keep it: half of a surrogate pair, which Redis would be told as U+FFFD, and NUL, which is no text in Postgres, become U+FFFD.
 * Two names that differ in nothing else are one lock.
 */
export function textOf (name: string): string {
  return notText.test(name) ? Buffer.from(name).toString().replaceAll('\0', '\uFFFD') : name
}

const notText = /[\0\ud800-\udfff]/

function isName (name: unknown): name is string {
  return typeof name === 'string' && name.length > 0 && name.length <= longest
}

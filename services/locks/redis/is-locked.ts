import { FST_LOCKS_UNAVAILABLE, lockError } from '../errors.js'
import type { Node } from './node.js'
import { existsScript } from './scripts.js'

/** What a majority of the nodes says. @throws FST_LOCKS_UNAVAILABLE where none does. */
export async function isLockedIn (nodes: readonly Node[], name: string, key: string): Promise<boolean> {
  const answers = await Promise.allSettled(nodes.map((node) => node.run(existsScript, 1, [key])))
  const says = (value: number): boolean => answers.filter((answer) => answer.status === 'fulfilled' && answer.value === value).length > nodes.length / 2
  if (says(1)) return true
  if (says(0)) return false
  throw lockError(FST_LOCKS_UNAVAILABLE, { names: [name], waited: 0, attempts: 1 }, answers.find((answer) => answer.status === 'rejected')?.reason)
}

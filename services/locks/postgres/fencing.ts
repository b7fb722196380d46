import type { Query } from '../../database/query.js'
import { FST_LOCKS_LOST, lockError } from '../errors.js'
import type { Grant } from '../grant.js'

/** One round trip, for locks that are not in Postgres. Grows with every call, over all processes and restarts. */
export async function nextToken (query: Query): Promise<bigint> {
  const [row] = await query("SELECT nextval('lock_tokens')::text AS token", []) as Array<{ token: string }>
  if (row === undefined) throw new Error('the sequence lock_tokens gave nothing')
  return BigInt(row.token)
}

/**
 * Has to be told how many rows a fenced write has changed:
 *
 *     UPDATE documents SET body = $2, fence = $3 WHERE id = $1 AND fence <= $3
 *
 * @param grant whose token it was
 * @throws FST_LOCKS_LOST when none: a later holder was there, or the row is gone.
 */
export function assertFenced (changed: number | null, { names }: Pick<Grant, 'names'>): void {
  if (changed === null || changed < 1) throw lockError(FST_LOCKS_LOST, { names, waited: 0, attempts: 0 }, new Error('the fenced write has changed nothing'))
}

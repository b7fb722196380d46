import type { Query } from '../database/query.js'
import { invalidOption, matching } from '../options.js'
import type { Rules } from '../options.js'
import { jsonOf } from './payload.js'
import { FST_SCHEDULER_OPTION_INVALID, FST_SCHEDULER_REQUEST_ID_REUSED } from './request-errors.js'
import * as sql from './requests-sql.js'

export interface RunRequest {
  kind: 'manual' | 'enqueued'
  name: string
  owner: string
  requestId: string
}

export interface RequestedRun {
  id: string
  state: string
}

/**
 * The run that was asked for with a request id before, or null.
 * @throws FST_SCHEDULER_REQUEST_ID_REUSED when it is one of another kind, job or owner
 */
export async function findRequested (query: Query, { requestId, kind, name, owner }: RunRequest): Promise<RequestedRun | null> {
  const [row] = await query(sql.find, [requestId, kind, name, owner]) as Array<RequestedRun & { isSame: boolean }>
  if (row === undefined) return null
  if (!row.isSame) throw new FST_SCHEDULER_REQUEST_ID_REUSED(requestId, name)
  return { id: row.id, state: row.state }
}

/** Of a request, or of an owner that is somebody. */
export const idRule = matching(/^[^\0]{1,255}$/, 'a string of 1 to 255 characters without U+0000')

/** Empty: of the application. */
export const ownerRule = matching(/^[^\0]{0,255}$/, 'a string of 255 characters at most without U+0000')

/** @throws FST_SCHEDULER_OPTION_INVALID */
export function checkOptions<T extends object> (options: T, rules: Rules<T>): void {
  const problem = invalidOption(options, rules)
  if (problem !== null) throw new FST_SCHEDULER_OPTION_INVALID(problem)
}

/** Of a payload that fits the rule `json`. Null: none. */
export function jsonbOf (payload: unknown): string | null {
  return payload === undefined || payload === null ? null : jsonOf(payload)
}

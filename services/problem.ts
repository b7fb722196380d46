import { STATUS_CODES } from 'node:http'

/** RFC 9457 problem details, with the error's stable `code` as an extension member. */
export interface Problem {
  type: string
  title: string
  status: number
  code: string
  detail: string
}

/** JSON Schema of a problem document. */
export const problemSchema = {
  title: 'Problem',
  description: 'Problem details, RFC 9457',
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' }
  }
}

export const problemMediaType = 'application/problem+json; charset=utf-8'

export interface ProblemInput {
  status: number
  code: string
  detail: string
  /** Default: the status's own phrase. */
  title?: string
  /** Base of the pages that explain the codes. Without one the type is `about:blank`: the problem is no more than its status. */
  docs?: string
}

/** `FST_IDEMPOTENCY_IN_FLIGHT` is explained at `<docs>idempotency-in-flight`. */
export function createProblem ({ status, code, detail, title = STATUS_CODES[status] ?? 'Error', docs }: ProblemInput): Problem {
  const type = docs === undefined ? 'about:blank' : docs + code.replace(/^FST_/, '').toLowerCase().replaceAll('_', '-')
  return { type, title, status, code, detail }
}

/** Whole seconds, as Retry-After wants them, and never 0: that would be a retry at once. */
export function secondsOf (ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000))
}

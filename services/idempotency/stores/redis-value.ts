import { isUtf8 } from 'node:buffer'
import type { Claim, StoredRecord, StoredResponse } from '../record.js'

const fingerprintAt = 23
const restAt = 87

/** Layout: redis-scripts.ts. */
export function encodeClaim ({ token, fingerprint, lease, retention }: Claim): string {
  return `r${token}${fingerprint}${lease}:${retention}`
}

export function encodeFinished ({ token, fingerprint }: Claim, response: StoredResponse | null): string {
  if (response === null) return `t${token}${fingerprint}`
  const { status, headers, body } = response
  const rest = `${token}${fingerprint}${JSON.stringify([status, headers])}\n`
  if (typeof body === 'string') return `d${rest}${body}`
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return isUtf8(bytes) ? `d${rest}${bytes.toString()}` : `b${rest}${bytes.toString('base64')}`
}

/** @param left ms: of a claim that runs its lease, of a finished record its retention */
export function decode (value: string, left: number): StoredRecord {
  const owner = { token: value.slice(1, fingerprintAt), fingerprint: value.slice(fingerprintAt, restAt) }
  switch (value[0]) {
    case 'r': return { state: 'running', ...owner, leaseLeft: left }
    case 't': return { state: 'tombstone', ...owner, left }
    case 'd': return { state: 'completed', ...owner, response: decodeResponse(value), left }
    case 'b': return { state: 'completed', ...owner, response: withBytes(decodeResponse(value)), left }
    default: throw notUnderstood()
  }
}

const unknownValue = 'a Redis key of the idempotency store holds a value that this version does not understand'

export function notUnderstood (): Error {
  return new Error(unknownValue)
}

export function isNotUnderstood (error: unknown): boolean {
  return error instanceof Error && error.message === unknownValue
}

function decodeResponse (value: string): StoredResponse & { body: string } {
  const end = value.indexOf('\n', restAt)
  if (end === -1) throw notUnderstood()
  const [status, headers] = JSON.parse(value.slice(restAt, end)) as [number, StoredResponse['headers']]
  return { status, headers, body: value.slice(end + 1) }
}

function withBytes ({ body, ...head }: StoredResponse & { body: string }): StoredResponse {
  return { ...head, body: Buffer.from(body, 'base64') }
}

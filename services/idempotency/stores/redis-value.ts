import { isUtf8 } from 'node:buffer'
import type { Claim, StoredRecord, StoredResponse } from '../record.js'

const lineFeed = 0x0a
const fingerprintAt = 23
const restAt = 87

/** Layout: redis-scripts.ts. */
export function encodeClaim ({ token, fingerprint, lease, retention }: Claim): string {
  return `r${token}${fingerprint}${lease}:${retention}`
}

/** Text, unless the body is not. */
export function encodeFinished ({ token, fingerprint }: Claim, response: StoredResponse | null): string | Buffer {
  if (response === null) return `t${token}${fingerprint}`
  const { status, headers, body } = response
  const start = `d${token}${fingerprint}${JSON.stringify([status, headers])}\n`
  if (typeof body === 'string') return start + body
  return isUtf8(body) ? start + Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString() : Buffer.concat([Buffer.from(start), body])
}

/** @param leaseLeft ms, of a claim that runs */
export function decode (value: Buffer, leaseLeft: number): StoredRecord {
  const owner = { token: value.toString('latin1', 1, fingerprintAt), fingerprint: value.toString('latin1', fingerprintAt, restAt) }
  const state = String.fromCharCode(value[0] ?? 0)
  if (state === 'r') return { state: 'running', ...owner, leaseLeft: Math.max(0, leaseLeft) }
  if (state === 't') return { state: 'tombstone', ...owner }
  if (state === 'd') return { state: 'completed', ...owner, response: decodeResponse(value.subarray(restAt)) }
  throw new Error('a Redis key of the idempotency store holds a value that this version does not understand')
}

/** How much of the lease is left, ms, when the key has `ttl` ms to live. */
export function leaseLeft (value: Buffer, ttl: number): number {
  const [lease = 0, retention = 0] = value.toString('latin1', restAt).split(':').map(Number)
  return lease - retention + ttl
}

export function isRunning (value: Buffer): boolean {
  return value[0] === 'r'.charCodeAt(0)
}

function decodeResponse (rest: Buffer): StoredResponse {
  const end = rest.indexOf(lineFeed)
  const [status, headers] = JSON.parse(rest.toString('utf8', 0, end)) as [number, StoredResponse['headers']]
  return { status, headers, body: rest.subarray(end + 1) }
}

import type { Claim, StoredRecord, StoredResponse } from '../record.js'

const lineFeed = 0x0a
const fingerprintAt = 23
const restAt = 55

/** Layout: redis-scripts.ts. */
function frame (state: 'r' | 'd' | 't', { token, fingerprint }: Claim, rest: Uint8Array[] = []): Buffer {
  return Buffer.concat([Buffer.from(state + token, 'latin1'), Buffer.from(fingerprint, 'hex'), ...rest])
}

export function encodeClaim (claim: Claim): Buffer {
  return frame('r', claim, [Buffer.from(`${claim.lease}:${claim.retention}`)])
}

export function encodeFinished (claim: Claim, response: StoredResponse | null): Buffer {
  if (response === null) return frame('t', claim)
  return frame('d', claim, [Buffer.from(JSON.stringify([response.status, response.headers]) + '\n'), response.body])
}

/** @param leaseLeft ms, of a claim that runs */
export function decode (value: Buffer, leaseLeft: number): StoredRecord {
  const owner = { token: value.toString('latin1', 1, fingerprintAt), fingerprint: value.toString('hex', fingerprintAt, restAt) }
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

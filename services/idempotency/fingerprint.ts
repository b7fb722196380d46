import { canonical } from './canonical.js'
import { digest } from './digest.js'

export interface FingerprintInput {
  method: string
  /** The route's pattern, not the requested URL. */
  route: string
  query: unknown
  contentType: string | undefined
  /** As the handler sees it: parsed and validated. */
  body: unknown
  /** A body that is longer in its canonical form is not hashed. Default: no limit. */
  maxBytes?: number
}

export type Fingerprint = { ok: true, fingerprint: string } | { ok: false, reason: string, tooLarge?: boolean }

export const tooLarge: Fingerprint = { ok: false, reason: 'the body is too large', tooLarge: true }

/** Deeper values overflow a recursive canonicaliser: 5,000 levels fit in 10 KB of JSON. */
const maxDepth = 64

/** SHA-256 over what the handler sees. Two requests with the same fingerprint ask for the same thing. */
export function fingerprintOf ({ method, route, query, contentType, body, maxBytes = Infinity }: FingerprintInput): Fingerprint {
  const flaw = flawOf(body, 0)
  if (flaw !== null) return { ok: false, reason: flaw }
  try {
    const parts = [method, route, canonical(query ?? {}), mediaType(contentType)]
    const bytes = body instanceof Uint8Array ? body : undefined
    const text = bytes !== undefined || body === undefined ? '' : canonical(body)
    if (maxBytes !== Infinity && sizeOf(body, text) > maxBytes) return tooLarge
    if (bytes !== undefined) return { ok: true, fingerprint: digest('holdfast:fingerprint:2', parts, bytes) }
    parts.push(text)
    return { ok: true, fingerprint: digest('holdfast:fingerprint:2', parts) }
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) }
  }
}

/** Text counts as it was sent, without the quotes and escapes of its canonical form. */
function sizeOf (body: unknown, canonicalText: string): number {
  return body instanceof Uint8Array ? body.byteLength : Buffer.byteLength(typeof body === 'string' ? body : canonicalText)
}

/**
 * Null for text, bytes and a tree of JSON values. Streams and files, which some parsers put into a body, are refused: their bytes are not here, and
 * their objects are graphs with cycles. Canonical JSON of a Map would be `{}` whatever it holds. Recursive, because it ends at the limit.
 */
function flawOf (value: unknown, depth: number): string | null {
  if (!isContainer(value)) return null
  if (depth >= maxDepth) return `the body is nested deeper than ${maxDepth} levels`
  if (!isPlain(value)) return 'the body has a stream or another object that is not data'
  for (const key in value) {
    const flaw = flawOf((value as Record<string, unknown>)[key], depth + 1)
    if (flaw !== null) return flaw
  }
  return null
}

/** An object that canonical JSON looks into. Those with `toJSON` (dates, bytes) stand for a value. */
function isContainer (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && !('toJSON' in value && typeof value.toJSON === 'function')
}

/** Neither a stream nor a file nor another object that is not data. */
function isPlain (value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Without parameters: a multipart boundary or a charset is chosen anew by every attempt. */
function mediaType (contentType = ''): string {
  const end = contentType.indexOf(';')
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
}

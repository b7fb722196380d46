import canonicalize from 'canonicalize'
import { digest } from './digest.js'

export interface FingerprintInput {
  method: string
  /** The route's pattern, not the requested URL. */
  route: string
  query: unknown
  contentType: string | undefined
  /** As the handler sees it: parsed and validated. */
  body: unknown
}

export type Fingerprint = { ok: true, fingerprint: string } | { ok: false, reason: string }

/** Deeper values overflow a recursive canonicaliser: 5,000 levels fit in 10 KB of JSON. */
const maxDepth = 64

/** SHA-256 over what the handler sees. Two requests with the same fingerprint ask for the same thing. */
export function fingerprintOf ({ method, route, query, contentType, body }: FingerprintInput): Fingerprint {
  const flaw = flawOf(body)
  if (flaw !== null) return { ok: false, reason: flaw }
  try {
    return { ok: true, fingerprint: digest('holdfast:fingerprint:1', [method, route, canonical(query ?? {}), mediaType(contentType), bytesOf(body)]) }
  } catch (error) {
    // RFC 8785 defines no form for non-finite numbers (1e400 parses as Infinity) and for lone surrogates.
    return { ok: false, reason: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * Null for text, bytes and a tree of JSON values. Streams and files, which some parsers put into a body, are refused: their bytes are not here, and
 * their objects are graphs with cycles, on which a walk by levels never ends. Canonical JSON of a Map would be `{}` whatever it holds.
 */
function flawOf (body: unknown): string | null {
  if (body instanceof Uint8Array) return null
  let level = [body].filter(isContainer)
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= maxDepth) return `the body is nested deeper than ${maxDepth} levels`
    if (!level.every(isPlain)) return 'the body has a stream or another object that is not data'
    level = level.flatMap((container): unknown[] => Object.values(container)).filter(isContainer)
  }
  return null
}

/** An object that canonical JSON looks into. Those with `toJSON` (dates, bytes) stand for a value. */
function isContainer (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !('toJSON' in value && typeof value.toJSON === 'function')
}

function isPlain (value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === null || prototype === Object.prototype
}

function bytesOf (body: unknown): string | Uint8Array {
  if (body === undefined) return ''
  return body instanceof Uint8Array ? body : canonical(body)
}

/** Canonical JSON (RFC 8785): the order of keys and the notation of numbers do not count. */
function canonical (value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new Error('the body is not JSON')
  return text
}

/** Without parameters: a multipart boundary or a charset is chosen anew by every attempt. */
function mediaType (contentType = ''): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase()
}

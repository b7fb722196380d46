import canonicalize from 'canonicalize'
import { exceedsDepth } from '../json/depth.js'
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
  if (exceedsDepth(body, maxDepth)) return { ok: false, reason: `the body is nested deeper than ${maxDepth} levels` }
  try {
    return { ok: true, fingerprint: digest('holdfast:fingerprint:1', [method, route, canonical(query ?? {}), mediaType(contentType), bytesOf(body)]) }
  } catch (error) {
    // RFC 8785 defines no form for non-finite numbers (1e400 parses as Infinity) and for lone surrogates.
    return { ok: false, reason: error instanceof Error ? error.message : String(error) }
  }
}

function bytesOf (body: unknown): string | Uint8Array {
  if (body === undefined) return ''
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  return canonical(body)
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

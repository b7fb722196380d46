/** Which answers are kept for replay: a preset, or a function of the status code. */
export type StoredPolicy = 'deterministic' | 'success' | 'all' | ((statusCode: number) => boolean)

/** 4xx answers that depend on the moment, on the caller's credentials or on other requests: a retry may get another one. */
const passing = new Set([401, 403, 408, 409, 412, 423, 425, 429])

/**
 * - `deterministic`: 2xx, 3xx, and those 4xx that the same request would get again
 * - `success`: 2xx
 * - `all`: everything, 5xx too, as Stripe's API v1 does
 */
export function isStored (policy: StoredPolicy, statusCode: number): boolean {
  if (typeof policy === 'function') return policy(statusCode)
  if (policy === 'all') return true
  if (policy === 'success') return statusCode >= 200 && statusCode < 300
  return statusCode < 500 && !passing.has(statusCode)
}

const replayable = [
  'content-type', 'content-language', 'content-encoding', 'content-disposition', 'location', 'content-location', 'etag', 'last-modified', 'link'
]

/** Credentials, and what belongs to one connection or one moment. */
const neverStored = new Set([
  'set-cookie', 'set-cookie2', 'authorization', 'proxy-authorization', 'www-authenticate', 'proxy-authenticate', 'authentication-info', 'date',
  'connection', 'keep-alive', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'proxy-connection', 'content-length', 'idempotent-replayed', 'idempotency-status'
])

/** False for names that are never stored, whatever a route adds. */
export function isReplayable (name: string): boolean {
  return !neverStored.has(name) && !/token|secret/.test(name)
}

/** The headers of a response that a replay sends again. Arrays stay arrays. */
export function storedHeaders (reply: { getHeader: (name: string) => unknown }, added: string[]): Record<string, string | string[]> {
  const stored: Record<string, string | string[]> = {}
  for (const name of replayable) store(stored, name, reply.getHeader(name))
  for (const name of added) store(stored, name, reply.getHeader(name))
  return stored
}

function store (stored: Record<string, string | string[]>, name: string, value: unknown): void {
  if (value !== undefined && value !== null) stored[name] = Array.isArray(value) ? value.map(String) : String(value)
}

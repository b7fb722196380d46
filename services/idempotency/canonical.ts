import { configure } from 'safe-stable-stringify'

const stringify = configure({ deterministic: true, strict: true, circularValue: Error })

/** Half of a surrogate pair: JSON.stringify escapes those alone in this way. An even number of backslashes before it is text. */
const loneSurrogate = /(?<!\\)(?:\\\\)*\\ud[89a-f]/

/**
 * Canonical JSON (RFC 8785): the order of keys and the notation of numbers do not count.
 * Throws for what has no such form: numbers that are not finite (1e400 parses as Infinity), half of a surrogate pair, and what is not JSON.
 */
export function canonical (value: unknown): string {
  if (isEmpty(value)) return '{}' // most requests have neither query nor params
  const text = textOf(value)
  if (text.includes('\\ud') && loneSurrogate.test(text)) throw new Error('it has half of a surrogate pair')
  return text
}

function textOf (value: unknown): string {
  let cause: unknown
  try {
    const text = stringify(value)
    if (text !== undefined) return text
  } catch (error) {
    cause = error
  }
  throw new Error('it has a number that is not finite, or another value that is not JSON', { cause })
}

/** The objects that Fastify makes of a query and of params are of a class of their own. */
function isEmpty (value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || 'toJSON' in value) return false
  for (const key in value) if (Object.hasOwn(value, key)) return false
  return true
}

import { configure } from 'safe-stable-stringify'
import type { Rule } from '../options.js'

const stringify = configure({ deterministic: true, strict: true, circularValue: Error })

/** U+0000 and half of a surrogate pair: Postgres takes neither in jsonb. Before them an even number of backslashes: an odd one would escape the escape. */
const refused = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

/**
 * Canonical JSON, the same for equal values. Undefined is null.
 * @throws TypeError that says why Postgres would not take it
 */
export function jsonOf (value: unknown = null): string {
  const text = stringify(value)
  if (text === undefined) throw new TypeError(`a ${typeof value} is not JSON`)
  if (refused.test(text)) throw new TypeError('it has a character that Postgres does not keep')
  return text
}

export const json: Rule = {
  expected: 'JSON without U+0000 and halves of surrogate pairs',
  accepts (value) {
    try {
      return jsonOf(value) !== ''
    } catch {
      return false
    }
  }
}

export type ParsedKey = { ok: true, key: string } | { ok: false, reason: string }

/** Every octet between the quotes of an RFC 8941 String: visible ASCII and space, with `"` and `\` escaped by a backslash. */
const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/
const visibleAscii = /^[\x21-\x7e]+$/

/**
 * Reads an Idempotency-Key header. `"abc"` (RFC 8941 String, as draft-ietf-httpapi-idempotency-key-header-07 §2.1 asks) and the bare `abc`
 * that most clients send are one key.
 *
 * @param lines the header's field lines as received. Node joins repeated lines with a comma, so they are taken from `rawHeaders`.
 * @param maxLength characters at most, without quotes
 */
export function parseKey (lines: string[], maxLength: number): ParsedKey {
  const [line, ...repeated] = lines
  if (line === undefined || repeated.length > 0) return { ok: false, reason: 'the header must be sent exactly once' }
  const key = line.startsWith('"') ? unquote(line) : line
  if (key === null) return { ok: false, reason: 'a key that starts with a quote must be a valid RFC 8941 String without parameters' }
  if (key.length === 0) return { ok: false, reason: 'the key is empty' }
  if (key.length > maxLength) return { ok: false, reason: `the key has ${key.length} characters, at most ${maxLength} are allowed` }
  if (!visibleAscii.test(key)) return { ok: false, reason: 'the key may only have visible ASCII characters' }
  if (!line.startsWith('"') && /[";]/.test(key)) return { ok: false, reason: 'a bare key may have neither quotes nor parameters' }
  return { ok: true, key }
}

function unquote (line: string): string | null {
  const [, text] = quoted.exec(line) ?? []
  return text === undefined ? null : text.replace(/\\(["\\])/g, '$1')
}

/** The lines of one header in the order received, from Node's flat `rawHeaders` list of names and values. */
export function headerLines (rawHeaders: string[], name: string): string[] {
  const lines: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const other = rawHeaders[index] ?? ''
    if (other.length === name.length && other.toLowerCase() === name) lines.push(rawHeaders[index + 1] ?? '')
  }
  return lines
}

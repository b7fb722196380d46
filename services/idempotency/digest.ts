import { createHash, hash } from 'node:crypto'

/** The frame keeps `['ab', 'c']` and `['a', 'bc']` apart. */
function framed (scheme: string, parts: string[]): string {
  let text = scheme
  for (const part of parts) text += `\n${part.length}:${part}`
  return text
}

/**
 * SHA-256 over length-framed parts, as 64 hex digits.
 *
 * @param scheme names what is hashed and how; change it with the parts, so that old and new digests never meet
 * @param bytes hashed after the parts
 */
export function digest (scheme: string, parts: string[], bytes?: Uint8Array): string {
  const text = framed(scheme, parts)
  return bytes === undefined ? hash('sha256', text, 'hex') : createHash('sha256').update(`${text}\n${bytes.byteLength} bytes:`).update(bytes).digest('hex')
}

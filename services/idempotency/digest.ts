import { createHash, hash } from 'node:crypto'

/** The frame keeps `['ab', 'c']` and `['a', 'bc']` apart. Joined, because hashing a string that was added up costs a quarter more. */
function framed (scheme: string, parts: string[]): string {
  const lines = [scheme]
  for (const part of parts) lines.push(`${part.length}:${part}`)
  return lines.join('\n')
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

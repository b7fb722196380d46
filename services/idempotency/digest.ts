import { createHash } from 'node:crypto'

/**
 * SHA-256 over length-framed parts, as 64 hex digits. The frame keeps `['ab', 'c']` and `['a', 'bc']` apart.
 *
 * @param scheme names what is hashed and how; change it with the parts, so that old and new digests never meet
 */
export function digest (scheme: string, parts: Array<string | Uint8Array>): string {
  const hash = createHash('sha256').update(scheme)
  for (const part of parts) {
    const length = typeof part === 'string' ? Buffer.byteLength(part) : part.byteLength
    hash.update(`\n${length}:`).update(part)
  }
  return hash.digest('hex')
}

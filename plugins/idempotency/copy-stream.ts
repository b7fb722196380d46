import { addAbortSignal, finished, Transform } from 'node:stream'
import type { Readable, TransformCallback } from 'node:stream'

export interface CopyOptions {
  /** A longer stream is passed on whole, and its copy is given up. Bytes. */
  limit: number
  /** The length that the client is told: it has the whole answer when it has so many bytes. NaN when it is told none. */
  declared: number
  /** Takes the copy, or null when there is none: the stream failed or is too long. Never rejects. */
  ended: (copy: Uint8Array | null) => Promise<void>
  /** Asked for when the client has gone: aborts when nobody wants the copy any more. */
  signal: () => AbortSignal
}

/**
 * Passes a stream on as it comes and gathers a copy of it. Only its end is held back, or its last chunk where the length was declared, until `ended`
 * has done its work. When the reader goes, the stream is read on for the copy's sake: making its bytes may be work of the handler, and the client that
 * has lost them asks for them again.
 */
export function copyStream (source: Readable, { limit, declared, ended, signal }: CopyOptions): Transform {
  const copy = createCopy(limit)
  let ending: Promise<void> | null = null
  let passed = 0
  const end = (): Promise<void> => (ending ??= ended(copy.bytes()))
  const fail = (): Promise<void> => (ending ??= ended(null))
  const leave = (): void => {
    source.unpipe(out)
    if (ending === null) addAbortSignal(signal(), source).resume()
    else if (!source.readableEnded) source.destroy()
  }

  const out = new Transform({
    transform (chunk: Buffer, _encoding, done: TransformCallback) {
      passed += chunk.length
      if (passed === declared) end().then(() => { done(null, chunk) }, done)
      else done(null, chunk)
    },
    flush (done) { end().then(() => { done() }, done) },
    destroy (error, done) {
      leave()
      done(error)
    }
  })
  out.on('error', () => {}) // a later hook may have put another payload in its place: then nobody listens
  source.on('data', (chunk: string | Uint8Array) => {
    if (copy.add(chunk)) return
    fail().catch(() => {})
    if (out.destroyed) source.destroy()
  })
  source.once('end', () => { end().catch(() => {}) })
  finished(source, { writable: false }, (error) => {
    if (error) fail().then(() => { out.destroy(error) }, () => { out.destroy(error) })
  })
  return source.pipe(out)
}

interface Copy {
  /** False when the limit is passed. */
  add: (chunk: string | Uint8Array) => boolean
  bytes: () => Uint8Array | null
}

function createCopy (limit: number): Copy {
  let chunks: Uint8Array[] = []
  let size = 0
  return {
    add (chunk) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      size += bytes.length
      if (size <= limit) chunks.push(bytes)
      else chunks = []
      return size <= limit
    },
    bytes: () => size > limit ? null : Buffer.concat(chunks, size)
  }
}

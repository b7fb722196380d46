import type { FastifyReply } from 'fastify'

/**
 * A signal that aborts when the client is gone, made when it is asked for. `request.signal` will not do: Node closes a request once its body is read,
 * and Fastify 5.12.8 takes that for a disconnect, or misses the disconnect when the signal is asked for later.
 */
export function goneOf ({ raw }: FastifyReply): () => AbortSignal {
  let signal: AbortSignal | null = null
  return () => {
    signal ??= toSignal(raw)
    return signal
  }
}

function toSignal (raw: FastifyReply['raw']): AbortSignal {
  if (raw.destroyed) return AbortSignal.abort()
  const controller = new AbortController()
  raw.once('close', () => { controller.abort() })
  return controller.signal
}

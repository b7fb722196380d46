import type { ServerResponse } from 'node:http'

/**
 * A signal that aborts when the client is gone, made when it is asked for. `request.signal` will not do: Node closes a request once its body is read,
 * and Fastify 5.12.8 takes that for a disconnect, or misses the disconnect when the signal is asked for later.
 */
export function goneOf (response: ServerResponse): () => AbortSignal {
  let signal: AbortSignal | null = null
  return () => {
    signal ??= toSignal(response)
    return signal
  }
}

function toSignal (response: ServerResponse): AbortSignal {
  const reason = new Error('the client is gone')
  if (response.destroyed) return AbortSignal.abort(reason)
  const controller = new AbortController()
  response.once('close', () => { controller.abort(reason) })
  return controller.signal
}

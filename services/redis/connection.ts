import { once } from 'node:events'
import type { Cluster, Redis } from 'ioredis'
import { withoutCommand } from './error.js'

/**
 * Options of a connection that requests wait on. A command is never re-sent after a lost reply (`SET NX` would then answer "taken" to its own
 * holder) and never queued while disconnected; a connection that answers nothing for `socketTimeout` ms is given up and opened anew. Commands
 * of one event-loop turn leave together. Scripts answer numbers, also where the application's client asks for strings. How long one answer is waited
 * for: deadline.ts.
 */
const requestPath = { maxRetriesPerRequest: 0, enableOfflineQueue: false, socketTimeout: 5_000, enableAutoPipelining: true, stringNumbers: false }

/** How long a start waits for the first connection, ms. The store copes with one that comes later. */
const startTimeout = 2_000

/** A connection of our own to where `client` points, with the options above. The caller closes it. */
export async function openRequestPath (client: Redis | Cluster, onError: (error: Error) => void): Promise<Redis | Cluster> {
  const connection = isCluster(client)
    ? client.duplicate([], { enableOfflineQueue: false, enableAutoPipelining: true, retryDelayOnFailover: 0, redisOptions: requestPath })
    : client.duplicate({ ...requestPath, lazyConnect: false, retryStrategy: (times: number) => Math.min(times * 50, 1_000) })
  connection.on('error', (error: Error) => {
    withoutCommand(error)
    onError(error)
  })
  if (connection.status !== 'ready') await once(connection, 'ready', { signal: AbortSignal.timeout(startTimeout) }).catch(onError)
  return connection
}

export function isCluster (client: Redis | Cluster): client is Cluster {
  return client.isCluster
}

import type { Cluster } from 'ioredis'

/**
 * Makes the promise of a Cluster's `connect` settle. That of ioredis never does when the Cluster is found down: the client goes on trying and gets there,
 * which nobody is told of (`readyCheck` in its `connect`). BullMQ waits for it without a deadline, and its worker would take no job any more. The client
 * itself calls it at each attempt: all of them wait by one pair of listeners, because an outage may be long.
 */
export function settleConnect (cluster: Cluster): void {
  const connect = cluster.connect.bind(cluster)
  let ready: Promise<void> | null = null
  Object.assign(cluster, {
    connect: async (): Promise<void> => { await Promise.race([connect(), ready ??= readiness(cluster).finally(() => { ready = null })]) }
  })
}

/** Resolves when the client is connected the next time. Rejects when it was ended. */
function readiness (cluster: Cluster): Promise<void> {
  return new Promise((resolve, reject) => {
    const onReady = (): void => { settle(resolve) }
    const onEnd = (): void => { settle(() => { reject(new Error('the connection was ended')) }) }
    const settle = (end: () => void): void => {
      cluster.off('ready', onReady).off('end', onEnd)
      end()
    }
    cluster.on('ready', onReady).on('end', onEnd)
  })
}

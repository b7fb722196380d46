import type { Cluster } from 'ioredis'

/**
 * Makes the promise of a Cluster's `connect` settle. That of ioredis never does when the Cluster is found down: the client goes on trying and gets there,
 * which nobody is told of (`readyCheck` in its `connect`). BullMQ waits for it without a deadline, and its worker would take no job any more. Whoever asks
 * while one is under way waits for the same: an outage may be long, and each has listeners.
 */
export function settleConnect (cluster: Cluster): void {
  const connect = cluster.connect.bind(cluster)
  let pending: Promise<void> | null = null
  Object.assign(cluster, {
    connect: async (): Promise<void> => { await (pending ??= settled(cluster, connect).finally(() => { pending = null })) }
  })
}

function settled (cluster: Cluster, connect: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const onReady = (): void => { settle(resolve) }
    const onEnd = (): void => { settle(() => { reject(new Error('the connection was ended')) }) }
    const settle = (end: () => void): void => {
      cluster.off('ready', onReady).off('end', onEnd)
      end()
    }
    cluster.on('ready', onReady).on('end', onEnd)
    connect().then(onReady, (error: unknown) => { settle(() => { reject(error) }) })
  })
}

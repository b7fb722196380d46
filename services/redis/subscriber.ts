import type { Cluster, Redis } from 'ioredis'
import { isCluster } from './connection.js'
import { answered } from './deadline.js'

export interface Subscriber {
  /** Calls `wake` at every message of the channel, and after a reconnect. Resolves once subscribed, with what ends it. */
  subscribe: (channel: string, wake: () => void) => Promise<() => void>
  close: () => void
}

interface Channel {
  wakes: Set<() => void>
  subscribed: Promise<unknown>
}

/** What a connection is subscribed to is kept here, so that everybody can be woken when it is subscribed again after a reconnect. */
const options = { autoResubscribe: false, enableOfflineQueue: true, enableAutoPipelining: false, lazyConnect: false }

/** A connection for SUBSCRIBE to where `redis` points. */
export function openSubscriber (redis: Redis | Cluster): Redis | Cluster {
  return isCluster(redis) ? redis.duplicate([], { enableOfflineQueue: true, enableAutoPipelining: false }) : redis.duplicate(options)
}

/** One connection, opened at the first call, however many wait. */
export function createSubscriber (open: () => Redis | Cluster): Subscriber {
  const channels = new Map<string, Channel>()
  let connection: Redis | Cluster | undefined
  let closed = false

  const leave = (name: string, channel: Channel, wake: () => void): void => {
    channel.wakes.delete(wake)
    if (channel.wakes.size > 0 || channels.get(name) !== channel) return
    channels.delete(name)
    connection?.unsubscribe(name).catch(() => {}) // a connection that is lost has no subscription either
  }
  const join = (name: string, client: Redis | Cluster): Channel => {
    const channel = { wakes: new Set<() => void>(), subscribed: answered(client.subscribe(name)) }
    channels.set(name, channel)
    return channel
  }
  return {
    async subscribe (name, wake) {
      if (closed) throw new Error('the subscriber is closed')
      const channel = channels.get(name) ?? join(name, connection ??= connect(open, channels))
      channel.wakes.add(wake)
      try {
        await channel.subscribed
      } catch (error) {
        leave(name, channel, wake)
        throw error
      }
      return () => { leave(name, channel, wake) }
    },
    close () {
      closed = true
      channels.clear()
      connection?.disconnect()
    }
  }
}

function connect (open: () => Redis | Cluster, channels: ReadonlyMap<string, Channel>): Redis | Cluster {
  const client = open()
  const wakeAll = (): void => { for (const { wakes } of channels.values()) for (const wake of wakes) wake() }
  client.on('message', (channel: string) => { for (const wake of channels.get(channel)?.wakes ?? []) wake() })
  client.on('error', () => {}) // whoever waits looks now and then besides, and hears there that Redis cannot be had
  // What is asked for before the first connect waits in the client's own queue. A failed repetition ends the connection, and the next is ready again.
  const restore = (): void => { if (channels.size > 0) client.subscribe(...channels.keys()).then(wakeAll, wakeAll) }
  if (client.status === 'ready') client.on('ready', restore)
  else client.once('ready', () => client.on('ready', restore))
  return client
}

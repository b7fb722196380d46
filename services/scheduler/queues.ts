import { Queue } from 'bullmq'
import type { QueueOptions } from 'bullmq'
import type { Cluster, Redis } from 'ioredis'
import type { Log } from '../log.js'
import { isCluster, openRequestPath } from '../redis/connection.js'
import { withoutCommand } from '../redis/error.js'
import { settleConnect } from '../redis/settled-connect.js'
import { FST_SCHEDULER_KEY_PREFIX } from './run-errors.js'

export interface QueueDeps {
  /** Of the application. Each queue and worker has connections of its own to where it points. */
  redis: Redis | Cluster
  /** Of all keys, 1 to 64 letters, digits, `_`, `:`, `.` or `-`. */
  prefix: string
  log: Log
}

export const runsQueue = 'scheduler-runs'
export const tickQueue = 'scheduler-tick'

/** The same error, with Redis away, comes with each attempt to connect: it is logged so often at most, ms. */
const quiet = 10_000

/** One hash tag, because a script of BullMQ touches many keys of a queue. */
export const keysOf = (prefix: string): string => `{${prefix}}`

/** @throws FST_SCHEDULER_KEY_PREFIX */
export function checkClient (redis: Redis | Cluster): void {
  const { keyPrefix } = isCluster(redis) ? { ...redis.options.redisOptions, ...redis.options } : redis.options
  if (keyPrefix !== undefined && keyPrefix !== '') throw new FST_SCHEDULER_KEY_PREFIX(keyPrefix)
}

export interface OpenQueue {
  queue: Queue
  /** Of the queue, for commands of its owner. */
  connection: Redis | Cluster
  close: () => Promise<void>
}

/**
 * A queue whose commands fail at once when Redis is away. Without the version check, whose one INFO would otherwise decide for ever whether the queue
 * can be used.
 */
export async function openQueue (name: string, { redis, prefix, log }: QueueDeps): Promise<OpenQueue> {
  checkClient(redis)
  const onError = logErrors(log, name)
  const connection = await openRequestPath(redis, onError)
  const options: QueueOptions = { connection, prefix: keysOf(prefix), skipWaitingForReady: true, skipVersionCheck: true, skipMetasUpdate: true }
  const queue = new Queue(name, options)
  queue.on('error', onError)
  return {
    queue,
    connection,
    async close () {
      await queue.close() // leaves the connection open, which it was given
      connection.disconnect()
    }
  }
}

export interface WorkerConnection {
  connection: Redis | Cluster
  /** Ends it, and the copies that BullMQ has made of it. */
  cut: () => void
}

/** Of a connection for a worker: its commands wait for Redis as long as it takes, and longer than the application's may. */
const patient = { maxRetriesPerRequest: null, commandTimeout: undefined, socketTimeout: undefined, blockingTimeout: undefined, enableOfflineQueue: true, enableAutoPipelining: false, lazyConnect: false }

export function openWorkerConnection ({ redis, log }: QueueDeps, name: string): WorkerConnection {
  checkClient(redis)
  const connection = isCluster(redis)
    ? redis.duplicate([], { enableOfflineQueue: true, enableAutoPipelining: false, redisOptions: { ...redis.options.redisOptions, ...patient } })
    : redis.duplicate({ ...patient, retryStrategy: (times: number) => Math.min(times * 50, 1_000) })
  const clients = withCopies(connection, logErrors(log, name))
  return { connection, cut () { for (const client of clients) end(client) } }
}

/** The connection, and each that is made of it later on: BullMQ keeps its copy to itself. */
function withCopies (connection: Redis | Cluster, onError: (error: Error) => void): Array<Redis | Cluster> {
  const clients: Array<Redis | Cluster> = []
  const keep = <C extends Redis | Cluster>(client: C): C => {
    if (isCluster(client)) settleConnect(client)
    clients.push(client.on('error', onError))
    return client
  }
  const duplicate = connection.duplicate.bind(connection) as (...args: unknown[]) => Redis | Cluster
  Object.assign(connection, {
    duplicate: (...args: unknown[]) => keep(duplicate(...args))
  })
  keep(connection)
  return clients
}

/**
 * A disconnect between two attempts to connect says nothing to anybody, and BullMQ, which waits for that connection, would wait for ever (and keep the
 * process alive): one more attempt has an end.
 */
function end (client: Redis | Cluster): void {
  const isBetween = client.status === 'reconnecting'
  client.disconnect()
  if (isBetween) client.connect().then(() => { client.disconnect() }, () => { /* as it should */ })
}

export function logErrors (log: Log, queue: string): (error: Error) => void {
  const last = new Map<string, number>()
  return (err) => {
    const now = performance.now()
    if (now - (last.get(err.message) ?? -quiet) < quiet) return
    if (last.size >= 100) last.clear() // a message may have an id in it
    last.set(err.message, now)
    log.warn({ err: withoutCommand(err), queue }, 'a queue reported an error')
  }
}

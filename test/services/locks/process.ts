/** A process of its own: locks over the Redis at argv[2], driven by messages. */
import { Redis } from 'ioredis'
import { createLocks } from '../../../services/locks/locks.js'
import { noObserver } from '../../../services/locks/observer.js'
import { openRedisBackend } from '../../../services/locks/redis/backend.js'
import { silentLog } from '../../../services/log.js'

export interface Order { do: 'count' | 'hold' | 'release', workers?: number, rounds?: number, ttl?: number }

const clients = (process.argv[2] ?? '').split(',').map((url) => new Redis(url))
for (const client of clients) client.on('error', () => {}) // the test ends its servers
const [client] = clients
const backend = await openRedisBackend({ redis: clients, prefix: 'test', log: silentLog })
const locks = createLocks({ backends: [backend], nextToken: null, log: silentLog, observer: noObserver })
const tell = (message: object): void => { process.send?.(message) }
let release = (): void => {}

/** Reads, pauses and writes: exact only if nobody else is in between. */
async function count (workers: number, rounds: number): Promise<void> {
  await Promise.all(Array.from({ length: workers }, async () => {
    for (let round = 0; round < rounds; round++) {
      await locks.using('counter', { wait: 60_000 }, async () => {
        const before = Number(await client?.get('counter'))
        await new Promise((resolve) => setImmediate(resolve))
        await client?.set('counter', before + 1)
      })
    }
  }))
  tell({ counted: true })
}

process.on('message', (order: Order) => {
  if (order.do === 'count') count(order.workers ?? 1, order.rounds ?? 1).catch((error: unknown) => { tell({ failed: String(error) }) })
  if (order.do === 'release') release()
  if (order.do !== 'hold') return
  locks.using('held', { ttl: order.ttl ?? 10_000 }, async () => {
    const released = new Promise<void>((resolve) => { release = resolve })
    tell({ held: true })
    await released
  }).then(() => { tell({ released: performance.timeOrigin + performance.now() }) }, (error: unknown) => { tell({ failed: String(error) }) })
})
tell({ ready: true })

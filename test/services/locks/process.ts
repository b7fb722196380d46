/** A process of its own: locks over the Redis at argv[2], driven by messages. */
import { Redis } from 'ioredis'
import type { Grant } from '../../../services/locks/grant.js'
import { createLocks } from '../../../services/locks/locks.js'
import { noObserver } from '../../../services/locks/observer.js'
import { openRedisBackend } from '../../../services/locks/redis/backend.js'
import { silentLog } from '../../../services/log.js'

export interface Order {
  do: 'count' | 'hold' | 'look' | 'release'
  workers?: number
  rounds?: number
  /** Taken in turn. Each name is a counter. */
  names?: string[][]
  ttl?: number
}

const clients = (process.argv[2] ?? '').split(',').map((url) => new Redis(url))
for (const client of clients) client.on('error', () => {}) // the test ends its servers
const [client] = clients
const backend = await openRedisBackend({ redis: clients, prefix: 'test', log: silentLog })
const locks = createLocks({ backends: [backend], nextToken: null, log: silentLog, observer: noObserver })
const tell = (message: object): void => { process.send?.(message) }
let held: Grant | undefined
let release = (): void => {}

/** Reads, pauses and writes: exact only if nobody else is in between. */
async function increment (names: string[]): Promise<void> {
  await locks.using(names, { wait: 60_000 }, async () => {
    const before = await client?.mget(names) ?? []
    await new Promise((resolve) => setImmediate(resolve))
    await client?.mset(names.flatMap((name, index) => [name, Number(before[index]) + 1]))
  })
}

async function count ({ workers = 1, rounds = 1, names = [['counter']] }: Order): Promise<void> {
  await Promise.all(Array.from({ length: workers }, async (_, worker) => {
    for (let round = 0; round < rounds; round++) await increment(names[(worker + round) % names.length] ?? [])
  }))
  tell({ counted: true })
}

/** What the holder knows, before and after it asks. */
function look ({ signal, assertHeld }: Grant): object {
  try {
    assertHeld()
    return { code: null }
  } catch (error) {
    return { code: (error as { code: string }).code, aborted: signal.aborted }
  }
}

async function hold ({ ttl = 10_000 }: Order): Promise<void> {
  try {
    await locks.using('held', { ttl }, async (grant) => {
      held = grant
      const released = new Promise<void>((resolve) => { release = resolve })
      tell({ held: true })
      await released
    })
    tell({ released: performance.timeOrigin + performance.now() })
  } catch (error) {
    tell({ failed: String(error) })
  }
}

process.on('message', (order: Order) => {
  if (order.do === 'count') count(order).catch((error: unknown) => { tell({ failed: String(error) }) })
  if (order.do === 'hold') hold(order).catch((error: unknown) => { throw error })
  if (order.do === 'look') tell({ looked: held === undefined ? null : look(held) })
  if (order.do === 'release') release()
})
tell({ ready: true })

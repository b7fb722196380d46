import { answerCalls } from '../rpc.mjs'
import { kinds } from './kinds.mjs'

let locks
let held = []

/** ms of the machine's monotonic clock, which all processes share. */
const now = () => Number(process.hrtime.bigint()) / 1e6

const work = () => {}

function heapUsed () {
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

answerCalls({
  async start ({ kind, ...options }) {
    locks = await kinds[kind](options)
    await locks.using('warm', work) // the server has the scripts now
  },
  once: () => locks.using('once', work),
  /** Takes different names, so many at a time, and gives each back at once. */
  async measure ({ parallel, ms }) {
    const [cpu, start] = [process.cpuUsage(), now()]
    let count = 0
    await Promise.all(Array.from({ length: parallel }, async (_, index) => {
      for (; now() - start < ms; count++) await locks.using(`name:${index}`, work)
    }))
    const { user, system } = process.cpuUsage(cpu)
    return { rate: count / (now() - start) * 1_000, cpu: (user + system) / count }
  },
  async hold () { held = [await locks.acquire('handed over')] },
  /** Resolves with when it was called. */
  async release () {
    const at = now()
    await held.pop().release()
    return at
  },
  /** Waits for the lock, and resolves with when it came. */
  async take () {
    const lock = await locks.acquire('handed over')
    const at = now()
    await lock.release()
    return at
  },
  /** Resolves with how long it took to take them all, ms, and the memory of each. */
  async holdMany ({ count, ttl }) {
    const before = heapUsed()
    const start = now()
    held = await Promise.all(Array.from({ length: count }, (_, index) => locks.acquire(`many:${index}`, { ttl, wait: 60_000 })))
    return { ms: now() - start, bytes: (heapUsed() - before) / count }
  },
  /** Throws unless all are still held. Resolves with how long it took to give them back, ms. */
  async releaseMany () {
    for (const { assertHeld } of held) assertHeld()
    const start = now()
    const released = await Promise.all(held.map((grant) => grant.release()))
    if (released.includes(false)) throw new Error('a lock was lost')
    return now() - start
  },
  end: () => locks.end()
})

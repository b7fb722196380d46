import { getEventListeners, setMaxListeners } from 'node:events'
import t from 'tap'
import type { BackendName } from '../../../services/locks/observer.js'
import { until } from '../../helper.js'
import { collectGarbage, turns } from '../concurrency/helper.js'
import { kinds, processesOf } from './both.js'
import type { Process } from './both.js'

/** Timers and sockets. */
const open = (): number => process.getActiveResourcesInfo().length

/** Afterwards it has the connections that a wait needs. */
async function waitOnce ({ locks }: Process, kind: BackendName): Promise<void> {
  const grant = await locks.acquire('warm')
  const waiting = locks.using('warm', {}, () => {})
  await until('it waits', () => locks.waiters(kind) === 1)
  await grant.release()
  await waiting
}

for (const kind of kinds) {
  await t.test(`1,000 who wait for one name all have it once, one at a time, and leave nothing (${kind})`, async (t) => {
    const openProcess = await processesOf(t, kind)
    const processes = [await openProcess(), await openProcess()]
    for (const process of processes) await waitOnce(process, kind)
    let subscriptions = 0
    for (const { backend } of processes) {
      const { subscribe } = backend
      backend.subscribe = async (...args) => {
        const end = await subscribe?.(...args)
        subscriptions++
        return () => { subscriptions--; end?.() }
      }
    }
    const aborting = new AbortController()
    setMaxListeners(0, aborting.signal)
    const [before, had] = [open(), Array.from({ length: 1_000 }, () => 0)]
    let [inside, most] = [0, 0]
    const grant = await processes[0]?.locks.acquire('one')
    const waiting = had.map(async (_, index) => await processes[index % 2]?.locks.using('one', { wait: 60_000, signal: aborting.signal }, () => {
      most = Math.max(most, ++inside)
      had[index] = (had[index] ?? 0) + 1
      inside--
    }))
    const count = (of: 'waiters' | 'held'): number => processes.reduce((sum, { locks }) => sum + locks[of](kind), 0)
    await until('all wait', () => count('waiters') === 1_000 && subscriptions === 2)
    await grant?.release()
    await Promise.all(waiting)
    t.ok(had.every((times) => times === 1))
    t.equal(most, 1)
    t.strictSame([count('waiters'), count('held'), getEventListeners(aborting.signal, 'abort').length], [0, 0, 0])
    await until('the subscriptions end', () => subscriptions === 0)
    await until(() => `${before} timers and sockets were open before, now ${open()}`, () => open() <= before)
  })

  await t.test(`2,000 locks one after another leave the heap as it was (${kind})`, async (t) => {
    const { locks } = await (await processesOf(t, kind))()
    const heapAfter = async (times: number): Promise<number> => {
      for (let round = 0; round < times; round++) await locks.using(`name ${round}`, {}, ({ signal }) => signal.aborted)
      for (let pass = 0; pass < 2; pass++) {
        await turns()
        collectGarbage()
      }
      return process.memoryUsage().heapUsed
    }
    const before = await heapAfter(500)
    const grown = (await heapAfter(2_000) - before) / 2_000
    t.ok(grown < 800, `${Math.round(grown)} bytes a lock`)
  })
}

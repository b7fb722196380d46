import t from 'tap'
import { testPool, until } from '../../../helper.js'
import { seeded, turns } from '../../concurrency/helper.js'
import { lockCount, openLocks } from './helper.js'
import type { Opened } from './helper.js'

/** Draws 1 to 3 of five names. */
function namesBy (random: () => number): string[] {
  return Array.from({ length: 1 + Math.floor(random() * 3) }, () => 'abcde'.charAt(Math.floor(random() * 5)))
}

await t.test('over one session for a process a name is never had twice, whoever waits, gives up, comes too late or gives back twice', async (t) => {
  const [pool, random] = [await testPool(t), seeded(3)]
  const processes = [openLocks(t, pool), openLocks(t, pool)]
  const holders = new Map<string, number>()
  const codes = new Set<unknown>()
  let [most, ran] = [0, 0]
  const inside = async (names: readonly string[]): Promise<void> => {
    for (const name of names) holders.set(name, (holders.get(name) ?? 0) + 1)
    most = Math.max(most, ...holders.values())
    await turns(Math.floor(random() * 4))
    for (const name of names) holders.set(name, (holders.get(name) ?? 0) - 1)
    ran++
  }
  const call = async ({ locks, withLock }: Opened): Promise<unknown> => {
    await turns(Math.floor(random() * 300))
    const [names, kind, aborting] = [namesBy(random), random(), new AbortController()]
    if (kind < 0.2) return await locks.tryUsing(names, {}, (grant) => inside(grant.names))
    if (kind < 0.4) return await locks.using(names, { wait: 1 + Math.floor(random() * 5) }, (grant) => inside(grant.names))
    if (kind < 0.6) setImmediate(() => { aborting.abort() })
    if (kind < 0.8) return await locks.using(names, { wait: 60_000, signal: aborting.signal }, (grant) => inside(grant.names))
    if (kind < 0.9) return await withLock(names[0] ?? 'a', (grant) => inside(grant.names), { timeout: 60_000 })
    const grant = await locks.acquire(names, { wait: 60_000 })
    await inside(grant.names)
    return await Promise.all([grant.release(), grant.release()])
  }
  await Promise.all(Array.from({ length: 600 }, async (_, index) => await call(processes[index % 2] as Opened).catch(({ code }: { code: unknown }) => codes.add(code))))
  t.equal(most, 1)
  t.ok(ran > 150, `${ran} ran`)
  for (const code of codes) t.match(code, /^FST_LOCKS_(ABORTED|TIMEOUT|UNAVAILABLE)$/)
  t.strictSame(processes.map(({ locks }) => [locks.held('postgres'), locks.waiters('postgres')]), [[0, 0], [0, 0]])
  await until('nothing is held', async () => await lockCount(pool) === 0)
  t.equal((await pool.query('SELECT FROM held_locks')).rowCount, 0)
})

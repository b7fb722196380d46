import t from 'tap'
import type { LockBackend } from '../../../services/locks/backend.js'
import { fairNow } from '../../fair-clock.js'
import { until } from '../../helper.js'
import { kinds, processesOf } from './both.js'

const patient = { wait: 8_000, interval: 60_000 }

/** Refuses who looks without having been woken by the store, so that nothing is had by looking now and then. */
function onlyWoken (backend: LockBackend): LockBackend {
  const woken = new Set<string>()
  return {
    ...backend,
    attempt: async (...args) => woken.delete(String(args[0])) ? await backend.attempt(...args) : { outcome: 'busy' },
    async subscribe (names, wake) {
      const end = await backend.subscribe?.(names, () => { woken.add(String(names)); wake() })
      woken.add(String(names)) // the look that follows finds what was given back before
      return end ?? (() => {})
    }
  }
}

for (const kind of kinds) {
  await t.test(`one who waits for two names is woken by the release of each (${kind})`, async (t) => {
    const open = await processesOf(t, kind)
    let asked = 0
    const counted = (backend: LockBackend): LockBackend => onlyWoken({ ...backend, attempt (...args) { asked++; return backend.attempt(...args) } })
    const [first, second, waiter] = [await open(), await open(), await open(counted)]
    for (const isFirst of [true, false]) {
      const grants = [await first.locks.acquire('a'), await second.locks.acquire('b')]
      const before = asked
      const waiting = waiter.locks.using(['a', 'b'], patient, () => 'both')
      await until('it hears', () => asked > before)
      const [one, other] = isFirst ? grants : grants.reverse()
      const heard = asked
      await one?.release()
      await until('it was woken', () => asked > heard)
      await other?.release()
      t.equal(await waiting, 'both')
    }
  })

  await t.test(`who waits for two names, one of them busy, takes the wake-up from nobody who waits for the other alone (${kind})`, async (t) => {
    const open = await processesOf(t, kind)
    const [holder, waiter] = [await open(), await open(onlyWoken)]
    for (let round = 0; round < 20; round++) {
      const [a, b] = [await holder.locks.acquire('a'), await holder.locks.acquire('b')]
      const both = waiter.locks.using(['a', 'b'], patient, () => 'both')
      await until('it waits', () => waiter.locks.waiters(kind) === 1)
      const one = waiter.locks.using('a', patient, () => 'one')
      await until('both wait', () => waiter.locks.waiters(kind) === 2)
      await a.release()
      t.equal(await one, 'one')
      await b.release()
      t.equal(await both, 'both')
    }
  })

  await t.test(`who is woken, and refused because of one who was quicker and got nothing, looks again soon (${kind})`, async (t) => {
    const open = await processesOf(t, kind)
    let [asked, refusals] = [0, 0]
    const refusing = (backend: LockBackend): LockBackend => ({
      ...backend,
      async attempt (...args) {
        asked++
        return refusals-- > 0 ? { outcome: 'busy' } : await backend.attempt(...args)
      }
    })
    const [holder, waiter] = [await open(), await open(refusing)]
    const grant = await holder.locks.acquire('a')
    const waiting = waiter.locks.using('a', { wait: 60_000, interval: 60_000 }, () => fairNow())
    await until('it looks seldom', () => asked >= 8)
    refusals = 1
    const start = fairNow()
    await grant.release()
    const delay = await waiting - start
    t.ok(delay < 400, `${delay} ms`)
  })

  await t.test(`a free name is not busy because somebody of the process asks for it and another that is busy (${kind})`, async (t) => {
    const open = await processesOf(t, kind)
    const [holder, other] = [await open(), await open()]
    await other.locks.using('warm', {}, () => {}) // it is connected now
    await holder.locks.using('b', {}, async () => {
      const answers = await Promise.all([other.locks.tryUsing(['a', 'b'], {}, () => {}), other.locks.tryUsing('a', {}, () => {})])
      t.match(answers, [{ acquired: false }, { acquired: true }])
    })
  })

  await t.test(`who comes when the last one leaves is woken (${kind})`, async (t) => {
    const open = await processesOf(t, kind)
    const [holder, { backend }] = [await open(), await open()]
    let woken = 0
    const subscribe = async (wake: () => void): Promise<() => void> => await backend.subscribe?.(['a'], wake) ?? (() => {})
    for (let round = 0; round < 200; round++) {
      const grant = await holder.locks.acquire('a')
      const leave = await subscribe(() => {})
      if (round % 2 === 0) leave()
      const coming = subscribe(() => { woken++ })
      if (round % 2 === 1) leave()
      const end = await coming
      woken = 0
      await grant.release()
      await until('it is woken', () => woken > 0, 2_000)
      end()
    }
    t.pass('200 times')
  })
}

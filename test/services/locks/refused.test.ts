import t from 'tap'
import { createLocks } from '../../../services/locks/locks.js'
import { noObserver } from '../../../services/locks/observer.js'
import { silentLog } from '../../../services/log.js'
import { gate, until } from '../../helper.js'
import { locked } from './helper.js'

await t.test('who stands in line for a busy lock is told that it is busy, also where the looks of those before and its own were cut short', async (t) => {
  const { locks: holder, backend } = await locked(t)
  const store = gate()
  let [isSlow, looks] = [false, 0]
  const slow: typeof backend = {
    ...backend,
    async attempt (...args) {
      looks++
      if (isSlow) await store.opened
      return await backend.attempt(...args)
    }
  }
  const locks = createLocks({ backends: [slow], nextToken: null, log: silentLog, observer: noObserver })
  const grant = await holder.acquire('a')
  const leaving = [new AbortController(), new AbortController()]
  const left: Array<Promise<unknown>> = []
  for (const { signal } of leaving) {
    left.push(t.rejects(locks.acquire('a', { wait: 10_000, interval: 5, signal }), { code: 'FST_LOCKS_ABORTED' }))
    await until('it is in line', () => locks.waiters('redis') === left.length)
  }
  const last = t.rejects(locks.acquire('a', { wait: 500 }), { code: 'FST_LOCKS_TIMEOUT', attempts: 1 })
  isSlow = true
  for (const controller of leaving) {
    const before = looks
    await until('it looks', () => looks > before)
    controller.abort()
  }
  await last
  store.open()
  await Promise.all(left)
  await locks.close(0)
  await grant.release()
})

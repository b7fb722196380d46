import t from 'tap'
import { createAsyncLock } from '../../../services/concurrency/async-lock.js'
import type { RunOptions } from '../../../services/concurrency/work.js'
import { gate, seeded, turns } from './helper.js'

const create = () => createAsyncLock({ name: 'lock test' })

await t.test('one runs with a key, over 1,000 runs with aborts and timeouts; none is lost and no key is kept', async (t) => {
  const [lock, random] = [create(), seeded(2)]
  const running = new Map<string, number>()
  const counters = { a: 0, b: 0, c: 0, d: 0 }
  let [most, ran] = [0, 0]
  const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, async () => {
    await turns(Math.floor(random() * 200))
    const key = 'abcd'.charAt(Math.floor(random() * 4)) as keyof typeof counters
    const [aborting, kind] = [new AbortController(), random()]
    const options: RunOptions = kind < 0.2 ? { timeout: Math.floor(random() * 3) } : { timeout: Infinity, signal: aborting.signal }
    const run = lock.run(key, async () => {
      running.set(key, (running.get(key) ?? 0) + 1)
      most = Math.max(most, running.get(key) ?? 0)
      const before = counters[key]
      await turns(Math.floor(random() * 3))
      counters[key] = before + 1 // a lost update if another one ran meanwhile
      running.set(key, (running.get(key) ?? 0) - 1)
      ran++
      if (random() < 0.1) throw new Error('of the work')
    }, options)
    if (kind > 0.8) setImmediate(() => { aborting.abort() })
    await run
  }))
  const failures = outcomes.filter(({ status }) => status === 'rejected').length
  t.equal(most, 1)
  t.equal(Object.values(counters).reduce((sum, count) => sum + count), ran)
  t.ok(ran > 500 && failures > 100, `${ran} ran, ${failures} failed`)
  t.strictSame([lock.held(), lock.waiting()], [0, 0])
})

await t.test('other keys do not wait', async (t) => {
  const [lock, finish] = [create(), gate()]
  const holder = lock.run('a', () => finish.opened)
  t.equal(await lock.run('b', () => 'ran', { timeout: 0 }), 'ran')
  t.equal(lock.held(), 1)
  finish.open()
  await holder
})

await t.test('who came first is served first, and those that leave are passed over', async (t) => {
  const [lock, finish, aborting, order] = [create(), gate(), new AbortController(), [] as number[]]
  const holder = lock.run('a', () => finish.opened)
  const wait = (index: number, options: RunOptions = {}): Promise<void> => lock.run('a', () => { order.push(index) }, options)
  const [first, leaving, late, last] = [wait(0), wait(1, { signal: aborting.signal }), wait(2, { timeout: 1 }), wait(3)]
  t.equal(lock.waiting(), 4)
  const refused = [t.rejects(leaving, { code: 'FST_CONCURRENCY_ABORTED' }), t.rejects(late, { code: 'FST_CONCURRENCY_TIMEOUT' })]
  aborting.abort()
  await Promise.all(refused)
  finish.open()
  await Promise.allSettled([holder, first, last])
  t.strictSame(order, [0, 3])
  t.equal(lock.held(), 0)
})

await t.test('work that is overdue, or whose caller gave up, is told by its signal, and keeps the key until it has settled', async (t) => {
  const lock = create()
  for (const isOverdue of [true, false]) {
    const [begun, told, finish, aborting, order] = [gate(), gate(), gate(), new AbortController(), [] as string[]]
    const first = lock.run('a', async (signal) => {
      signal.addEventListener('abort', told.open)
      begun.open()
      await finish.opened
      order.push('settled')
    }, isOverdue ? { maxExecution: 1 } : { signal: aborting.signal })
    const second = lock.run('a', () => { order.push('next') })
    await begun.opened
    aborting.abort()
    await told.opened
    await t.rejects(lock.run('a', () => order.push('too early'), { timeout: 5 }), { code: 'FST_CONCURRENCY_TIMEOUT' })
    t.strictSame([order, lock.held(), lock.waiting()], [[], 1, 1])
    finish.open()
    await Promise.all([first, second])
    t.strictSame(order, ['settled', 'next'])
  }
})

await t.test('draining ends the waits of all keys that say so, and begins none of these; closing ends that too, and leaves to end what runs', async (t) => {
  const [lock, finish] = [create(), gate()]
  const holders = ['a', 'b'].map((key) => lock.run(key, () => finish.opened.then(() => key)))
  const waits = ['a', 'b'].map((key) => lock.run(key, () => key, { whileClosing: false }))
  const going = lock.run('a', () => 'went on')
  lock.drain()
  for (const wait of waits) await t.rejects(wait, { code: 'FST_CONCURRENCY_CLOSED' })
  await t.rejects(lock.run('c', () => 'c', { whileClosing: false }), { code: 'FST_CONCURRENCY_CLOSED' })
  finish.open()
  t.strictSame(await Promise.all([...holders, going]), ['a', 'b', 'went on'])
  const again = gate()
  const last = lock.run('a', () => again.opened)
  const late = lock.run('a', () => 'late')
  lock.close()
  await t.rejects(late, { code: 'FST_CONCURRENCY_CLOSED' })
  await t.rejects(lock.run('a', () => 'later'), { code: 'FST_CONCURRENCY_CLOSED' })
  again.open()
  await last
  t.equal(lock.held(), 0)
})

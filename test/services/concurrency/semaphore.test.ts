import { setMaxListeners } from 'node:events'
import t from 'tap'
import { createSemaphore } from '../../../services/concurrency/semaphore.js'
import type { SemaphoreRunOptions } from '../../../services/concurrency/semaphore.js'
import { collectGarbage, gate, seeded, turns } from './helper.js'

const create = (size: number) => createSemaphore({ name: 'semaphore test', size })

await t.test('no more run than there are slots, over 1,000 runs of random weight with aborts and timeouts, and none is lost', async (t) => {
  const [size, random] = [5, seeded(1)]
  const semaphore = create(size)
  const codes = new Set<string>()
  let [taken, most, ran] = [0, 0, 0]
  const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, async () => {
    await turns(Math.floor(random() * 200))
    const weight = 1 + Math.floor(random() * size)
    const [aborting, kind] = [new AbortController(), random()]
    const options: SemaphoreRunOptions = kind < 0.2 ? { weight, timeout: Math.floor(random() * 3) } : { weight, timeout: Infinity, signal: aborting.signal }
    const run = semaphore.run(async () => {
      most = Math.max(most, taken += weight)
      await turns(Math.floor(random() * 3))
      taken -= weight
      ran++
      if (random() < 0.1) throw new Error('of the work')
    }, options)
    if (kind > 0.8) setImmediate(() => { aborting.abort() })
    await run
  }))
  for (const outcome of outcomes) if (outcome.status === 'rejected') codes.add((outcome.reason as { code?: string }).code ?? (outcome.reason as Error).message)
  t.strictSame([...codes].sort(), ['FST_CONCURRENCY_ABORTED', 'FST_CONCURRENCY_TIMEOUT', 'of the work'])
  t.equal(most, size)
  t.ok(ran > 500, `${ran} ran`)
  t.strictSame([taken, semaphore.waiting()], [0, 0])
  t.equal(await semaphore.run(() => 'free', { weight: size, timeout: 0 }), 'free')
})

await t.test('who came first is served first, and a heavy one is not overtaken', async (t) => {
  const semaphore = create(2)
  const [finish, order] = [gate(), [] as number[]]
  const holder = semaphore.run(() => finish.opened)
  const others = [2, 1, 1].map((weight, index) => semaphore.run(() => { order.push(index) }, { weight }))
  await turns()
  t.strictSame(order, [])
  finish.open()
  await Promise.all([holder, ...others])
  t.strictSame(order, [0, 1, 2])
})

await t.test('when a heavy one leaves the line, those behind it have their turn at once', async (t) => {
  const semaphore = create(2)
  const [finish, aborting] = [gate(), new AbortController()]
  const holder = semaphore.run(() => finish.opened)
  const heavy = semaphore.run(() => 'heavy', { weight: 2, signal: aborting.signal })
  const light = semaphore.run(() => 'light')
  aborting.abort(new Error('gone'))
  await t.rejects(heavy, { code: 'FST_CONCURRENCY_ABORTED', cause: { message: 'gone' } })
  t.equal(await light, 'light')
  finish.open()
  await holder
})

await t.test('one that leaves in the moment of its turn hands it on', async (t) => {
  const semaphore = create(1)
  const [finish, aborting] = [gate(), new AbortController()]
  const holder = semaphore.run(() => finish.opened)
  const leaving = semaphore.run(() => 'ran', { signal: aborting.signal })
  const next = semaphore.run(() => 'next')
  // Every microtask between the release and the turn.
  finish.open()
  for (let microtask = 0; microtask < 4; microtask++) await Promise.resolve()
  aborting.abort()
  await Promise.allSettled([holder, leaving])
  t.equal(await next, 'next')
})

await t.test('of those that left nothing is kept while the slot is taken', async (t) => {
  const semaphore = create(1)
  const [finish, aborting] = [gate(), new AbortController()]
  const holder = semaphore.run(() => finish.opened)
  setMaxListeners(0, aborting.signal)
  const left: Array<WeakRef<object>> = []
  const wait = (options: SemaphoreRunOptions): Promise<unknown> => {
    const work = (): null => null
    left.push(new WeakRef(work))
    return semaphore.run(work, options)
  }
  const waits = Promise.allSettled([...Array.from({ length: 50 }, () => wait({ signal: aborting.signal })), ...Array.from({ length: 50 }, () => wait({ timeout: 1 }))])
  aborting.abort()
  await waits
  t.equal(semaphore.waiting(), 0)
  await turns()
  collectGarbage()
  t.equal(left.filter((ref) => ref.deref() !== undefined).length, 0)
  finish.open()
  await holder
})

await t.test('work that takes too long sees its signal, and keeps the slot until it has ended', async (t) => {
  const semaphore = create(1)
  const [finish, told] = [gate(), gate()]
  const overdue = semaphore.run(async (signal) => {
    signal.addEventListener('abort', told.open)
    await finish.opened
    signal.throwIfAborted()
  }, { maxExecution: 1 })
  await told.opened
  await t.rejects(semaphore.run(() => 'ran', { timeout: 5 }), { code: 'FST_CONCURRENCY_TIMEOUT', message: /semaphore test within 5 ms/ })
  finish.open()
  await t.rejects(overdue, { code: 'FST_CONCURRENCY_OVERDUE', message: /takes longer than 1 ms/ })
  t.equal(await semaphore.run(() => 'ran', { timeout: 0 }), 'ran')
})

await t.test('the work gets the signal of its caller', async (t) => {
  const aborting = new AbortController()
  await create(1).run((signal) => { t.equal(signal, aborting.signal) }, { signal: aborting.signal })
  await t.rejects(create(1).run(async (signal) => {
    aborting.abort(new Error('enough'))
    signal.throwIfAborted()
  }, { signal: aborting.signal, maxExecution: 10_000 }), { message: 'enough' })
  await create(1).run((signal) => { t.notOk(signal.aborted) })
})

await t.test('an aborted signal, and a turn that is not waited for, are refused at once', async (t) => {
  const semaphore = create(1)
  await t.rejects(semaphore.run(() => 'ran', { signal: AbortSignal.abort() }), { code: 'FST_CONCURRENCY_ABORTED' })
  const finish = gate()
  const holder = semaphore.run(() => finish.opened)
  await t.rejects(semaphore.run(() => 'ran', { timeout: 0 }), { code: 'FST_CONCURRENCY_TIMEOUT' })
  finish.open()
  await holder
})

await t.test('draining ends the waits that say so, and begins none of these; closing ends that too, and leaves to end what runs', async (t) => {
  const semaphore = create(1)
  const finish = gate()
  const holder = semaphore.run(() => finish.opened.then(() => 'ended'))
  const [waiting, going] = [semaphore.run(() => 'ran', { whileClosing: false }), semaphore.run(() => 'ran')]
  semaphore.drain()
  await t.rejects(waiting, { code: 'FST_CONCURRENCY_CLOSED' })
  await t.rejects(semaphore.run(() => 'ran', { whileClosing: false }), { code: 'FST_CONCURRENCY_CLOSED' })
  t.equal(semaphore.waiting(), 1)
  finish.open()
  t.strictSame(await Promise.all([holder, going]), ['ended', 'ran'])
  t.equal(await semaphore.run(() => 'ran'), 'ran')
  const again = gate()
  const last = semaphore.run(() => again.opened.then(() => 'ended'))
  const late = semaphore.run(() => 'ran')
  semaphore.close()
  await t.rejects(late, { code: 'FST_CONCURRENCY_CLOSED' })
  await t.rejects(semaphore.run(() => 'ran'), { code: 'FST_CONCURRENCY_CLOSED' })
  again.open()
  t.equal(await last, 'ended')
})

await t.test('options of a call that are unknown or wrong are refused: a weight above the size would wait for ever', async (t) => {
  const semaphore = create(2)
  for (const options of [{ weight: 3 }, { weight: 0 }, { timeout: -1 }, { timeout: NaN }, { timeout: '1' }, { signal: {} }, { maxExecution: 0 }, { whileClosing: 1 }, { wait: 1 }]) {
    await t.rejects(semaphore.run(() => 'ran', options as SemaphoreRunOptions), { code: 'FST_CONCURRENCY_OPTION_INVALID', message: /^semaphore test: option `/ })
  }
})

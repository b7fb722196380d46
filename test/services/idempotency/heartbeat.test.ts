import t from 'tap'
import type { Test } from 'tap'
import { signalOf } from '../../../services/idempotency/attempt.js'
import type { IdempotencyEngine } from '../../../services/idempotency/engine.js'
import { noObserver } from '../../../services/idempotency/observer.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { until } from '../../helper.js'
import { gate } from '../../plugins/idempotency/helper.js'
import { engineOf, handClock, ok, question, running, settings } from './begin.js'

/** Beats every 10 ms; what is due is decided by a clock that is moved by hand. */
const brief = { ...settings, lease: 30 }

interface Watched {
  engine: IdempotencyEngine
  store: IdempotencyStore
  skip: (ms: number) => void
  /** Tokens of the claims of every call to extend. */
  extended: string[][]
  outcomes: string[]
}

function watched (t: Test, changes: Partial<IdempotencyStore> = {}): Watched {
  const { now, skip } = handClock()
  const [extended, outcomes]: [string[][], string[]] = [[], []]
  const store = { ...createMemoryStore({ now }), ...changes }
  const engine = engineOf(t, {
    now,
    store: { ...store, extend: (claims) => { extended.push(claims.map(({ token }) => token)); return store.extend(claims) } },
    observer: { ...noObserver, outcome: (_layer, outcome) => { outcomes.push(outcome) } }
  })
  return { engine, store, skip, extended, outcomes }
}

/** Until an engine that begins now has beaten twice. One that began before has beaten as often: timers fire in order. */
async function beats (t: Test): Promise<void> {
  const { engine, skip, extended } = watched(t)
  running(await engine.begin(question(), brief))
  for (const times of [1, 2]) {
    skip(10)
    await until('another engine has extended its lease', () => extended.length === times)
  }
}

await t.test('the leases of all handlers are extended in one call, before half of them is over', async (t) => {
  const { engine, store, skip, extended } = watched(t)
  const attempts = await Promise.all(['a', 'b', 'c'].map(async (key) => running(await engine.begin(question(key), brief))))
  skip(4)
  await beats(t)
  t.same(extended, [], 'not before a sixth of it is over')
  skip(2)
  await until('they are extended', () => extended.length > 0)
  t.same(extended, [attempts.map(({ claim: { token } }) => token)])
  skip(29)
  t.match(await store.get(question('a').id), { state: 'running' })
})

await t.test('a shorter lease that comes later is extended in time, and a longer one with it', async (t) => {
  const { engine, store, skip, extended } = watched(t)
  const long = running(await engine.begin(question('long'), settings))
  const short = running(await engine.begin(question('short'), brief))
  for (let time = 0; time < 100; time += 10) {
    skip(10)
    const before = extended.length
    await until('the short one is extended', () => extended.length > before)
  }
  t.equal(extended.every(([token]) => token === short.claim.token), true)
  skip(settings.lease / 6)
  await until('the long one is extended', () => extended.some((tokens) => tokens.includes(long.claim.token)))
  for (const key of ['long', 'short']) t.match(await store.get(question(key).id), { state: 'running' })
})

await t.test('what is finished or given back is not extended, even while the store is busy with it', async (t) => {
  const done = gate()
  const slow = async (): Promise<boolean> => { await done.opened; return true }
  const { engine, skip, extended } = watched(t, { complete: slow, release: slow })
  const [a, b] = [running(await engine.begin(question('a'), brief)), running(await engine.begin(question('b'), brief))]
  const ended = [engine.finish(a, ok), engine.release(b)]
  skip(20)
  await beats(t)
  done.open()
  t.same(await Promise.all(ended), [true, true])
  await beats(t)
  t.same(extended, [])
})

await t.test('that it was finished while its lease was being extended is no loss', async (t) => {
  let answer = (_held: boolean[]): void => {}
  const { engine, skip, extended, outcomes } = watched(t, { extend: () => new Promise((resolve) => { answer = resolve }) })
  const attempt = running(await engine.begin(question(), brief))
  skip(10)
  await until('it is to be extended', () => extended.length > 0)
  const finished = engine.finish(attempt, ok)
  answer([false])
  t.equal(await finished, true)
  t.same([outcomes, signalOf(attempt).aborted], [[], false])
})

await t.test('a claim that another attempt holds is lost: its signal aborts, it is counted, and no longer extended', async (t) => {
  const { engine, skip, extended, outcomes } = watched(t, { extend: async (claims) => claims.map(() => false) })
  const attempt = running(await engine.begin(question(), brief))
  const signal = signalOf(attempt)
  skip(10)
  await until('it is lost', () => signal.aborted)
  await beats(t)
  t.equal(extended.length, 1)
  t.same(outcomes, ['lease_lost'])
  t.equal(engine.inFlight(), 0)
})

await t.test('after maxExecution the signal aborts, nothing is extended, and the key is free when the last lease is past', async (t) => {
  const { engine, store, skip, extended } = watched(t)
  const attempt = running(await engine.begin(question(), { ...brief, maxExecution: 100 }))
  const signal = signalOf(attempt)
  for (let time = 0; time < 100; time += 20) {
    skip(20)
    const before = extended.length
    await until('it is extended', () => extended.length > before)
  }
  t.equal(signal.aborted, false)
  const count = extended.length
  skip(1)
  await until('the signal aborts', () => signal.aborted)
  t.match(signal.reason, { message: /longer than maxExecution \(100 ms\)/ })
  t.match(await engine.begin(question(), brief), { action: 'conflict' })
  skip(30)
  await until('the attempt is off the list', () => engine.inFlight() === 0)
  t.equal(extended.length, count)
  t.match(await store.get(question().id), { state: 'running', leaseLeft: 0 })
  t.match(await engine.begin(question(), brief), { action: 'run' })
  t.equal(await engine.finish(attempt, ok), false)
})

for (const [name, extend] of [['fails', async () => { throw new Error('the store is broken') }], ['hangs', () => new Promise<never>(() => {})]] as const) {
  await t.test(`a store that ${name} is asked again at every beat, and the signal aborts when the lease is past`, async (t) => {
    const { engine, skip, extended } = watched(t, { extend })
    const signal = signalOf(running(await engine.begin(question(), brief)))
    skip(10)
    await until('it was asked twice', () => extended.length > 1)
    t.equal(signal.aborted, false)
    skip(21)
    await until('the signal aborts', () => signal.aborted)
    t.match(signal.reason, { message: /could not be extended/ })
  })
}

await t.test('a process that was stalled past its lease goes on when nobody has taken the key', async (t) => {
  const { engine, store, skip, extended } = watched(t)
  const attempt = running(await engine.begin(question(), brief))
  const signal = signalOf(attempt)
  skip(1_000)
  await until('it is extended', () => extended.length > 0)
  t.match(await store.get(question().id), { state: 'running', leaseLeft: 30 })
  t.equal(signal.aborted, false)
  t.equal(await engine.finish(attempt, ok), true)
})

await t.test('after close nothing is extended', async (t) => {
  const { engine, skip, extended } = watched(t)
  running(await engine.begin(question('a'), brief))
  await engine.close()
  running(await engine.begin(question('b'), { ...brief, lease: 20 }))
  skip(15)
  await beats(t)
  t.same(extended, [])
})

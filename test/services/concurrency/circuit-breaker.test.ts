import t from 'tap'
import { createCircuitBreaker } from '../../../services/concurrency/circuit-breaker.js'
import type { BreakerSettings, BreakerState } from '../../../services/concurrency/circuit-breaker.js'
import { until } from '../../helper.js'
import { gate } from './helper.js'

const down = (): never => { throw new Error('down') }

/** With one failure it is open, and a moment later it tries one call. */
function create (settings: Partial<BreakerSettings> = {}) {
  const changes: BreakerState[] = []
  const breaker = createCircuitBreaker({ name: 'breaker test', threshold: 1, halfOpenAfter: 1, onChange: (state) => changes.push(state), ...settings })
  /** Runs `work` as the call that is tried. */
  const tried = <T>(work: () => Promise<T> | T, signal?: AbortSignal): Promise<T> => {
    let ended: Promise<T> | null = null
    return until('a call is tried', async () => {
      const began = gate()
      const run = breaker.run(() => { began.open(); return work() }, signal === undefined ? {} : { signal })
      const first = await Promise.race([began.opened.then(() => 'began'), run.then(() => 'ended', (error: { code?: string }) => error.code === 'FST_CONCURRENCY_CIRCUIT_OPEN' ? null : 'ended')])
      if (first !== null) ended = run
      return first
    }).then(() => ended ?? Promise.reject(new Error('no call')))
  }
  return { breaker, changes, tried }
}

await t.test('as many failures in a row as the threshold open it, and it refuses without calling', async (t) => {
  const { breaker, changes } = create({ threshold: 3, halfOpenAfter: 60_000 })
  for (const work of [down, down, () => 'up', down, down]) await breaker.run(work).catch(() => null)
  t.equal(breaker.state(), 'closed')
  await t.rejects(breaker.run(down), { message: 'down' })
  t.equal(breaker.state(), 'open')
  const refused = await breaker.run(() => t.fail('it was called')).then(() => null, (error: { code: string, retryAfter: number }) => error)
  t.equal(refused?.code, 'FST_CONCURRENCY_CIRCUIT_OPEN')
  t.ok((refused?.retryAfter ?? 0) > 50_000 && (refused?.retryAfter ?? 0) <= 60_000)
  t.strictSame(changes, ['open'])
})

await t.test('after a while one call is tried, the others are refused meanwhile, and its success closes it', async (t) => {
  const { breaker, changes, tried } = create()
  await t.rejects(breaker.run(down), { message: 'down' })
  const finish = gate()
  const trial = tried(() => finish.opened.then(() => 'up'))
  await until('it is half open', () => breaker.state() === 'half-open')
  await t.rejects(breaker.run(() => t.fail('it was called')), { code: 'FST_CONCURRENCY_CIRCUIT_OPEN' })
  finish.open()
  t.equal(await trial, 'up')
  t.strictSame([breaker.state(), await breaker.run(() => 'up')], ['closed', 'up'])
  t.strictSame(changes, ['open', 'half-open', 'closed'])
})

await t.test('the failure of the call that is tried opens it again', async (t) => {
  const { breaker, changes, tried } = create()
  await t.rejects(breaker.run(down), { message: 'down' })
  await t.rejects(tried(down), { message: 'down' })
  t.strictSame([breaker.state(), changes], ['open', ['open', 'half-open', 'open']])
})

await t.test('errors that are no failures are passed on and count as nothing', async (t) => {
  const { breaker } = create({ isFailure: (error) => (error as Error).message === 'down' })
  for (let call = 0; call < 5; call++) await t.rejects(breaker.run(() => { throw new Error('not found') }), { message: 'not found' })
  t.equal(breaker.state(), 'closed')
})

await t.test('a call whose caller gave up counts as nothing, and as the one that is tried proves nothing', async (t) => {
  const { breaker, tried } = create()
  const giveUp = (aborting: AbortController) => (): never => { aborting.abort(); throw new Error('given up') }
  const [first, second] = [new AbortController(), new AbortController()]
  await t.rejects(breaker.run(giveUp(first), { signal: first.signal }), { message: 'given up' })
  t.equal(breaker.state(), 'closed')
  await t.rejects(breaker.run(down), { message: 'down' })
  await t.rejects(tried(giveUp(second), second.signal), { message: 'given up' })
  t.equal(breaker.state(), 'open')
})

await t.test('an open breaker inside of the work is the failure of that work, not a refusal of this one', async (t) => {
  const [inner, outer] = [create({ halfOpenAfter: 60_000 }).breaker, create({ name: 'breaker outer' }).breaker]
  await t.rejects(inner.run(down))
  await t.rejects(outer.run(() => inner.run(down)), { code: 'FST_CONCURRENCY_CIRCUIT_OPEN', message: /breaker test/ })
  t.equal(outer.state(), 'open')
})

await t.test('a call that began before the breaker opened, and ends while one is tried, changes nothing', async (t) => {
  for (const isGivenUp of [false, true]) {
    const { breaker, tried } = create()
    const [late, finish, caller] = [gate(), gate(), new AbortController()]
    const old = breaker.run(async () => { await late.opened; return down() }, isGivenUp ? { signal: caller.signal } : {})
    await t.rejects(breaker.run(down), { message: 'down' })
    const trial = tried(() => finish.opened.then(() => 'up'))
    await until('it is half open', () => breaker.state() === 'half-open')
    if (isGivenUp) caller.abort()
    late.open()
    await t.rejects(old, { message: 'down' })
    t.equal(breaker.state(), 'half-open')
    finish.open()
    t.equal(await trial, 'up')
    t.equal(breaker.state(), 'closed')
  }
})

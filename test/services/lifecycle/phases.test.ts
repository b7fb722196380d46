import t from 'tap'
import { gate, until } from '../../helper.js'
import { fail, states, testPhases } from './helper.js'

await t.test('a phase is running until its step has ended', async (t) => {
  const { phases } = testPhases(t)
  const end = gate()
  const run = phases.phase('database', () => end.opened)
  await until('it runs', async () => (await states(phases)).database === 'running')
  t.strictSame(await phases.report(), [{ name: 'database', state: 'running', optional: false }])
  end.open()
  await run
  t.strictSame(await phases.report(), [{ name: 'database', state: 'ready', optional: false }])
})

await t.test('a failure stops the start, and one of an optional phase degrades it', async (t) => {
  const { phases } = testPhases(t)
  await phases.phase('redis', fail, { optional: true })
  await t.rejects(phases.phase('database', fail), { message: 'no' })
  t.strictSame(await states(phases), { redis: 'degraded', database: 'failed' })
  await t.rejects(phases.started(), { message: 'no' })
})

await t.test('a probe is asked by every report, and one that does not answer in time counts as failed', async (t) => {
  const { phases } = testPhases(t, { probeTimeout: 20 })
  const answers: Array<() => Promise<unknown>> = [() => Promise.reject(new Error('gone')), () => { throw new Error('at once') }, () => new Promise(() => {}), async () => 'back']
  await phases.phase('database', async () => {}, { probe: () => answers.shift()?.() ?? Promise.reject(new Error('asked too often')) })
  const seen: string[] = []
  while (answers.length > 0) seen.push(...Object.values(await states(phases)))
  t.strictSame(seen, ['failed', 'failed', 'failed', 'ready'])
})

await t.test('a report at the moment when a phase ends leaves its state alone', async (t) => {
  for (let turns = 0; turns < 20; turns++) {
    const { phases } = testPhases(t)
    const ended = gate()
    const first = phases.phase('database', () => ended.opened)
    await until('it runs', async () => (await states(phases)).database === 'running')
    ended.open()
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    await phases.report()
    await first
    t.strictSame(await states(phases), { database: 'ready' })
  }
})

await t.test('a phase begins after those that it names, in whatever order they are declared, and the others run at once', async (t) => {
  const { phases } = testPhases(t)
  const begun: string[] = []
  const [config, database, redis] = [gate(), gate(), gate()]
  const step = (name: string, end: { opened: Promise<void> }) => async () => {
    begun.push(name)
    await end.opened
  }
  const locks = phases.phase('locks', async () => { begun.push('locks') }, { after: ['database', 'redis'] })
  const others = [
    phases.phase('database', step('database', database), { after: ['config'] }),
    phases.phase('redis', step('redis', redis), { after: ['config'] }),
    phases.phase('config', step('config', config))
  ]
  await until('config runs', () => begun.length === 1)
  t.strictSame(await states(phases), { locks: 'pending', database: 'pending', redis: 'pending', config: 'running' })
  config.open()
  await until('both run', () => begun.length === 3)
  t.strictSame(begun, ['config', 'database', 'redis'])
  redis.open()
  await until('redis has ended', async () => (await states(phases)).redis === 'ready')
  t.equal((await states(phases)).locks, 'pending')
  database.open()
  await Promise.all([locks, ...others, phases.started()])
  t.strictSame(await states(phases), { locks: 'ready', database: 'ready', redis: 'ready', config: 'ready' })
})

await t.test('what comes after a required phase that failed does not run, and what comes after an optional one does', async (t) => {
  const { phases } = testPhases(t)
  const ran: string[] = []
  const after = (name: string) => phases.phase(`after ${name}`.replace(' ', '-'), () => { ran.push(name) }, { after: [name] })
  await phases.phase('redis', fail, { optional: true, retry: false })
  phases.phase('database', fail).catch(() => {})
  await after('redis')
  await t.rejects(after('database'), { message: 'no' })
  t.strictSame(ran, ['redis'])
  t.equal((await states(phases))['after-database'], 'pending')
})

await t.test('a failure that nobody awaits is heard by the start and crashes nothing', async (t) => {
  const { phases } = testPhases(t)
  const unawaited = [phases.phase('database', fail), phases.phase('migrations', () => {}, { after: ['database'] })]
  await new Promise(setImmediate) // where Node would find a rejection that nobody handles
  t.equal(unawaited.length, 2)
  await t.rejects(phases.started(), { message: 'no' })
})

await t.test('an optional phase that failed is repeated until it is ready', async (t) => {
  const { phases } = testPhases(t)
  let runs = 0
  const step = (): void => { if (++runs < 4) throw new Error('not yet') }
  await phases.phase('redis', step, { optional: true, retry: { minDelay: 1, maxDelay: 5 } })
  t.equal(runs, 1, 'the start waits for the first attempt only')
  t.equal((await states(phases)).redis, 'degraded')
  await until('it is ready', async () => (await states(phases)).redis === 'ready')
  t.equal(runs, 4)
})

await t.test('the stop ends the repetitions of an optional phase', async (t) => {
  const { phases, stop } = testPhases(t)
  const runs = { stopped: 0, witness: 0 }
  const options = { optional: true, retry: { minDelay: 1, maxDelay: 1 } }
  const step = (name: keyof typeof runs) => () => {
    if (++runs[name] === 3 && name === 'stopped') stop()
    throw new Error('not yet')
  }
  await phases.phase('redis', step('stopped'), options)
  await until('it has run', () => runs.stopped === 3)
  await testPhases(t).phases.phase('redis', step('witness'), options)
  await until('another one was repeated', () => runs.witness > 5)
  t.equal(runs.stopped, 3)
})

await t.test('an attempt that takes longer than its timeout has failed, whether or not it obeys its signal', async (t) => {
  const { phases } = testPhases(t)
  const signals: AbortSignal[] = []
  const never = (signal: AbortSignal): Promise<void> => {
    signals.push(signal)
    return new Promise(() => {})
  }
  await t.rejects(phases.phase('database', never, { timeout: 10 }), { code: 'FST_LIFECYCLE_TIMEOUT', message: 'the phase `database` has not ended within 10 ms' })
  await phases.phase('redis', never, { optional: true, retry: false, timeout: 10 })
  t.strictSame(await states(phases), { database: 'failed', redis: 'degraded' })
  t.ok(signals.every(({ aborted }) => aborted))
})

await t.test('the stop ends a phase that runs and those that wait', async (t) => {
  const { phases, stop } = testPhases(t)
  const signals: AbortSignal[] = []
  const database = phases.phase('database', (signal) => {
    signals.push(signal)
    return new Promise(() => {})
  })
  const migrations = phases.phase('migrations', () => t.fail('it runs'), { after: ['database'] })
  await until('the first one runs', () => signals.length === 1)
  stop()
  await t.rejects(database, { code: 'FST_LIFECYCLE_STOPPING' })
  await t.rejects(migrations, { code: 'FST_LIFECYCLE_STOPPING' })
  t.ok(signals[0]?.aborted)
  await t.rejects(phases.phase('late', () => t.fail('it runs')), { code: 'FST_LIFECYCLE_STOPPING' })
})

await t.test('mistakes are named', async (t) => {
  const { phases, stop } = testPhases(t)
  const mistake = (name: string, message: string, options: object = {}, step: unknown = () => {}): void =>
    t.throws(() => phases.phase(name, step as () => void, options), { code: 'FST_LIFECYCLE_USAGE', message }) as unknown as void
  const waiting = [phases.phase('a', () => {}, { after: ['b'] }), phases.phase('b', () => {}, { after: ['c'] })]
  mistake('a', 'the phase `a` is declared twice')
  mistake('c', 'the phases c → a → b → c wait for each other', { after: ['a'] })
  mistake('d', 'the phases d → d wait for each other', { after: ['d'] })
  mistake('no name', 'the name of a phase must be a name of 1 to 64 letters, digits, `_`, `.` or `-`, got \'no name\' (string)')
  mistake('d', 'phase `d`: the step must be a function, got `1` (number)', {}, 1)
  mistake('d', 'phase `d`: option `optional` must be true or false, got `1` (number)', { optional: 1 })
  mistake('d', 'phase `d`: option `retry.minDelay` must be an integer from 1 to 2147483647 (ms), got `0` (number)', { optional: true, retry: { minDelay: 0 } })
  mistake('d', 'phase `d`: option `retry` must be left out where the phase is not optional: a required one that failed ends the start', { retry: {} })
  await t.rejects(phases.started(), { code: 'FST_LIFECYCLE_USAGE', message: 'the phase `b` waits for `c`, which nobody has declared: there are a, b' })
  stop()
  for (const phase of waiting) await t.rejects(phase, { code: 'FST_LIFECYCLE_STOPPING' })
})

await t.test('a probe that answers makes no phase ready whose step has failed', async (t) => {
  const { phases } = testPhases(t)
  const probe = async (): Promise<void> => {}
  await phases.phase('redis', fail, { optional: true, retry: false, probe })
  await t.rejects(phases.phase('database', fail, { probe }), { message: 'no' })
  t.strictSame(await states(phases), { redis: 'degraded', database: 'failed' })
})

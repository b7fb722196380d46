import t from 'tap'
import { createPhases } from '../../../services/lifecycle/phases.js'

await t.test('a phase is running until its step has ended', async (t) => {
  const phases = createPhases()
  let end = (): void => {}
  const run = phases.run('database', () => new Promise((resolve) => { end = resolve }))
  t.strictSame(await phases.report(), [{ name: 'database', state: 'running', optional: false }])
  end()
  await run
  t.strictSame(await phases.report(), [{ name: 'database', state: 'ready', optional: false }])
})

await t.test('a failure stops the start, and one of an optional phase degrades it', async (t) => {
  const phases = createPhases()
  const fail = async (): Promise<void> => { throw new Error('no') }
  await phases.run('redis', fail, { optional: true })
  await t.rejects(phases.run('database', fail), { message: 'no' })
  t.match(await phases.report(), [{ name: 'redis', state: 'degraded' }, { name: 'database', state: 'failed' }])
})

await t.test('a probe is asked by every report, and one that does not answer in time counts as failed', async (t) => {
  const phases = createPhases({ probeTimeout: 20 })
  const answers: Array<() => Promise<unknown>> = [() => Promise.reject(new Error('gone')), () => new Promise(() => {}), async () => 'back']
  await phases.run('database', async () => {}, { probe: () => answers.shift()?.() ?? Promise.reject(new Error('asked too often')) })
  const states: string[] = []
  while (answers.length > 0) states.push(...(await phases.report()).map(({ state }) => state))
  t.strictSame(states, ['failed', 'failed', 'ready'])
})

import t from 'tap'
import { fairNow } from '../../fair-clock.js'
import { until } from '../../helper.js'
import { insertRun, reach, runOf } from './helper.js'
import { processes } from './processes.js'
import { runsOf } from './rows.js'

await t.test('a run whose process is killed runs again elsewhere, not before its lease is past', async (t) => {
  const { pool, start, effects } = await processes(t)
  const one = await start('one')
  const id = await insertRun(pool, { name: 'hold' })
  await until('it runs', async () => (await effects(id)).length === 1)
  const two = await start('two')
  const { fence } = await runOf(pool, id)
  const begin = performance.now()
  one.signal('SIGKILL')
  await until('it runs again', async () => (await effects(id)).length === 2)
  t.ok(performance.now() - begin > 900, 'the lease was extended within its last third at most')
  two.open()
  t.match(await reach(pool, id, 'done'), { worker: 'two', starts: 2, failures: 0 })
  t.strictSame(await effects(id), ['one', 'two'])
  t.ok(Number((await runOf(pool, id)).fence) > Number(fence))
})

await t.test('a process that slept longer than its lease cannot end its run any more', async (t) => {
  const { pool, start, effects } = await processes(t)
  const one = await start('one')
  const id = await insertRun(pool, { name: 'hold' })
  await until('it runs', async () => (await effects(id)).length === 1)
  one.signal('SIGSTOP')
  const two = await start('two')
  await until('it runs in the other', async () => (await effects(id)).length === 2)
  const { fence } = await runOf(pool, id)
  one.open()
  one.signal('SIGCONT')
  const other = await insertRun(pool, { name: 'job' })
  await reach(pool, other, 'done')
  one.signal('SIGTERM')
  t.equal(await one.ended(), 0)
  t.match(await runOf(pool, id), { state: 'running', worker: 'two', fence })
  two.open()
  t.match(await reach(pool, id, 'done'), { worker: 'two', starts: 2, fence })
})

await t.test('a run that kills its process is dead after its starts, and other runs are done meanwhile', async (t) => {
  const { pool, start, effects } = await processes(t)
  const workers = [await start('one'), await start('two'), await start('three')]
  const poison = await insertRun(pool, { name: 'poison' })
  await until('it has killed one', () => workers.some(({ running }) => !running()))
  t.equal((await runOf(pool, poison)).state, 'running')
  const begin = fairNow()
  await reach(pool, await insertRun(pool, { name: 'job' }), 'done')
  t.ok(fairNow() - begin < 1_400, 'another one is not delayed')
  t.match(await reach(pool, poison, 'dead'), { starts: 2, failures: 0, error: /started 2 times and never came to an end/ })
  t.equal((await effects(poison)).length, 2)
  t.equal(workers.filter(({ running }) => running()).length, 1)
})

await t.test('SIGTERM puts an interrupted run back for another process, and the process exits by itself with 0', async (t) => {
  const { pool, start, effects } = await processes(t)
  const one = await start('one', { DEADLINE: '1000' })
  const id = await insertRun(pool, { name: 'listen' })
  await until('it runs', async () => (await effects(id)).length === 1)
  one.signal('SIGTERM')
  t.equal(await one.ended(), 0)
  t.match(await runOf(pool, id), { state: /pending|enqueued/, starts: 0, failures: 0 })
  await start('two')
  await until('it runs again', async () => (await effects(id)).length === 2)
  t.match(await runOf(pool, id), { worker: 'two', starts: 1 })
})

await t.test('what was enqueued runs once after its process was killed at the commit, and never when it was killed before', async (t) => {
  const { pool, start } = await processes(t)
  const [one, two] = await Promise.all([start('one', {}, 'scheduler-process.js'), start('two', {}, 'scheduler-process.js')])
  const mail = { definitions: [{ name: 'mail' }], at: 0 }
  await one.tell(mail)
  await t.rejects(one.tell({}), /a process ended instead/, 'it enqueues, and kills itself')
  t.match(await runsOf(pool, 'mail'), [{ payload: 'committed', starts: 0 }])
  await two.tell(mail)
  const [run] = await runsOf(pool, 'mail')
  t.match(await reach(pool, run?.id ?? '', 'done'), { enqueues: 1, starts: 1 })
  t.same((await pool.query('SELECT run, worker FROM effects')).rows, [{ run: run?.id, worker: 'two' }])
  t.equal((await runsOf(pool, 'mail')).length, 1)
})

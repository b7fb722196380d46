import t from 'tap'
import { until } from '../../helper.js'
import { ownRedis, withRedis } from '../../own-servers.js'
import { countOf, insertRuns } from './helper.js'
import { processes } from './processes.js'
import { runsOf } from './rows.js'

await t.test('after FLUSHALL two processes tick and run on within 10 s, what waited in Redis as well, and each run once', async (t) => {
  const server = await ownRedis(t)
  const { pool, start } = await processes(t)
  const all = await Promise.all(['one', 'two'].map((name) => start(name, { REDIS_URL: server.url }, 'scheduler-process.js')))
  const definitions = [{ name: 'tick', cron: '* * * * * *', overlap: 'allow' }, { name: 'mail' }]
  await Promise.all(all.map(({ tell }) => tell({ definitions, at: Date.now() })))
  await until('ticks are run', async () => await countOf(pool, 'done') >= 2)
  await insertRuns(pool, 2_000, 'mail')
  await until('some of them have been run', async () => await countOf(pool, 'done') >= 50)
  await withRedis(server, (redis) => redis.flushall())
  const flushed = Date.now()
  t.ok((await runsOf(pool, 'mail')).some(({ state }) => state === 'enqueued'), 'many waited in Redis')
  await until('it ticks again', async () => (await runsOf(pool, 'tick')).some(({ state, tick }) => state === 'done' && tick.getTime() > flushed + 1_000), 11_000)
  await until('all of them are run', async () => (await runsOf(pool, 'mail')).every(({ state }) => state === 'done'), 20_000)
  const { rows } = await pool.query('SELECT run FROM effects GROUP BY run HAVING count(*) > 1')
  t.same(rows, [])
  t.equal((await pool.query("SELECT FROM effects JOIN scheduler_runs ON run = id WHERE name = 'mail'")).rows.length, 2_000)
})

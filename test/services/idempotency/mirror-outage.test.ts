import pg from 'pg'
import t from 'tap'
import { createPool } from '../../../services/database/pool.js'
import { createMirror } from '../../../services/idempotency/stores/mirror.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import type { PgLike } from '../../../services/database/query.js'
import { silentLog as log } from '../../../services/log.js'
import { testPool, until } from '../../helper.js'
import { ownPostgres } from '../../own-servers.js'
import { newClaim, response } from './conformance.js'
import { claims, recorded, watched } from './mirrored.js'

const pool = await testPool(t)
const postgres = createPostgresStore({ postgres: pool })

await t.test('what was finished while Postgres was killed is there when it is back', async (t) => {
  const server = await ownPostgres(t)
  const own = createPool({ url: server.url, size: 2, log })
  t.teardown(() => own.end())
  const store = createPostgresStore({ postgres: own })
  const { lines, log: lineLog } = recorded()
  const mirror = createMirror({ postgres: store, log: lineLog })
  const [before, during] = [newClaim(), claims(100)]
  mirror.add(before, response)
  await mirror.flush()
  await server.kill()
  for (const claim of during) mirror.add(claim, response)
  await until('it was tried', () => lines.length > 0)
  t.equal(mirror.stats().queued, 100)
  await server.start()
  await until('all is written', () => mirror.stats().queued === 0) // flush alone keeps no process alive
  await mirror.flush()
  t.equal((await Promise.all([before, ...during].map(({ id }) => store.get(id)))).filter((record) => record?.state === 'completed').length, 101)
  t.match(lines.map(({ level }) => level), ['warn', 'info'], 'one line when it begins, one when it is over')
  await mirror.close()
})

await t.test('close gives up after its deadline, tells how many are lost, and lets waiting flushes go', async (t) => {
  const { seen, finish } = watched(postgres)
  const { lines, log } = recorded()
  const mirror = createMirror({ postgres: { finish }, log })
  seen.error = new Error('Postgres is down')
  for (const claim of claims(7)) mirror.add(claim, response)
  const start = performance.now()
  await Promise.all([mirror.close(), mirror.flush()])
  const took = performance.now() - start
  t.ok(took > 4_900 && took < 6_000, `${took} ms`)
  t.match(lines.at(-1), { level: 'error', fields: { lost: 7 } })
  mirror.add(newClaim(), response)
  t.match(mirror.stats(), { queued: 7, dropped: 1 })
})

await t.test('a hanging Postgres does not hold close beyond its deadline', async (t) => {
  const { lines, log } = recorded()
  const mirror = createMirror({ postgres: { finish: () => new Promise(() => {}) }, log })
  mirror.add(newClaim(), response)
  await mirror.close()
  t.match(lines, [{ level: 'error', fields: { lost: 1 } }])
})

await t.test('a batch of 1,000 is one statement of Postgres and costs Node little', async (t) => {
  let statements = 0
  const single = new pg.Pool({ ...pool.options, max: 1 })
  t.teardown(() => single.end())
  const counting: PgLike = { query: (text, values) => { statements++; return single.query(text, values) } }
  const mirror = createMirror({ postgres: createPostgresStore({ postgres: counting }), log })
  const warm = claims(5_000)
  for (const claim of warm) mirror.add(claim, response)
  await mirror.flush()
  const measured = claims(10_000)
  statements = 0
  const start = process.cpuUsage()
  for (const claim of measured) mirror.add(claim, response)
  await mirror.flush()
  const { user, system } = process.cpuUsage(start)
  t.equal(statements, 10)
  const each = (user + system) / measured.length
  t.comment(`${each.toFixed(1)} µs of Node a record`)
  t.ok(each < 60, `${each} µs, twice the target for the noise of a busy machine`)
  await mirror.close()
})

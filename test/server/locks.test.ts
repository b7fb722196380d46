import t from 'tap'
import { faultProxy } from '../chaos/fault-proxy.js'
import { build, testEnvironment } from './helper.js'

await t.test('the server has locks in both stores, and those of Postgres on a connection of their own', async (t) => {
  const environment = await testEnvironment(t)
  const direct = await faultProxy(t, environment.DATABASE_URL ?? '')
  const app = await build(t, { ...environment, DATABASE_DIRECT_URL: direct.url })
  t.equal(direct.connections(), 1)
  await app.locks.using('x', { fencing: true }, async ({ token }) => {
    t.equal(token, 1n)
    t.same([await app.locks.isLocked('x', { backend: 'redis' }), await app.locks.isLocked('x', { backend: 'postgres' })], [true, false])
  })
  await app.locks.advisory.withMonthLock(2026, 3, async () => {
    t.match(await app.locks.list(), [{ name: 'month:2026-03', application: 'holdfast locks' }])
    await app.prisma.$transaction(async (transaction) => {
      t.equal(await app.locks.advisory.withLock('y', () => 'mine', { transaction }), 'mine')
    })
  })
  t.match(await app.metrics.metrics(), 'lock_acquire_total{backend="postgres",result="acquired"} 2\n')
  await app.close()
  t.equal(direct.connections(), 0)
})

import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import { assertFenced } from '../../../plugins/locks/index.js'
import type { Grant } from '../../../plugins/locks/index.js'
import { redisUrl, testPool, testPrefix } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { spawnScript, urlOf } from '../../services/locks/postgres/helper.js'
import { build } from './helper.js'

for (const backend of ['redis', 'postgres'] as const) {
  await t.test(`the late write of a holder that was paused changes no row (${backend})`, async (t) => {
    const [postgres, prefix] = [await testPool(t), testPrefix()]
    await postgres.query("CREATE TABLE documents AS SELECT 'empty' AS body, 0::bigint AS fence")
    const app = await build(t, { postgres, prefix })
    const { child, line, exited } = spawnScript(t, '../../../plugins/locks/paused.js', urlOf(postgres), redisUrl(), prefix, backend)
    t.equal(await line(), 'held')
    child.kill('SIGSTOP')
    // A Redis lock ends with its ttl; that of a session is taken away, because a pause ends no connection.
    if (backend === 'postgres') t.match(await app.locks.forceRelease('document', { reason: 'it is paused', by: 'a test' }), { how: 'terminated' })
    await app.locks.using('document', { backend, fencing: true, wait: 10_000 }, async ({ token }) => {
      t.equal(token, 2n)
      t.equal((await postgres.query("UPDATE documents SET body = 'next', fence = $1 WHERE fence <= $1", [token])).rowCount, 1)
    })
    child.stdin?.write('write\n')
    child.kill('SIGCONT')
    t.strictSame(JSON.parse(await line()), { changed: 0, code: 'FST_LOCKS_LOST' })
    t.equal(await exited, 0)
    t.match((await postgres.query('SELECT * FROM documents')).rows, [{ body: 'next', fence: '2' }])
  })
}

await t.test('the write of a holder whose lock Redis forgot in a restart, and who has not been told yet, changes no row', async (t) => {
  const [postgres, server, prefix] = [await testPool(t), await ownRedis(t), testPrefix()]
  await postgres.query("CREATE TABLE documents AS SELECT 'empty' AS body, 0::bigint AS fence")
  const write = async (body: string, { token }: Grant): Promise<number | null> =>
    (await postgres.query('UPDATE documents SET body = $1, fence = $2 WHERE fence <= $2', [body, token])).rowCount
  const open = async (): Promise<FastifyInstance> => {
    const redis = new Redis(server.url)
    redis.on('error', () => {}) // the test restarts its server
    t.teardown(() => { redis.disconnect() })
    return await build(t, { redis, postgres, prefix })
  }
  const [first, next] = [await open(), await open()]
  await t.rejects(first.locks.using('document', { fencing: true, ttl: 60_000 }, async (grant) => {
    await server.kill()
    await server.start()
    await next.locks.using('document', { fencing: true, wait: 10_000 }, async (grant) => { t.equal(await write('next', grant), 1) })
    grant.assertHeld() // nobody has told it
    assertFenced(await write('late', grant), grant)
  }), { code: 'FST_LOCKS_LOST', cause: { message: /fenced/ } })
  t.match((await postgres.query('SELECT * FROM documents')).rows, [{ body: 'next', fence: '2' }])
})

import t from 'tap'
import { redisUrl, testPool, testPrefix } from '../../helper.js'
import { spawnScript, urlOf } from '../../services/locks/postgres/helper.js'
import { build } from './helper.js'

for (const backend of ['redis', 'postgres'] as const) {
  await t.test(`the late write of a holder that was paused changes no row (${backend})`, async (t) => {
    const [postgres, prefix] = [await testPool(t), testPrefix()]
    await postgres.query("CREATE TABLE documents AS SELECT 'empty' AS body, 0::bigint AS fence")
    const app = await build(t, { postgres, prefix })
    const { child, line, exited } = spawnScript(t, '../../../plugins/locks/paused.ts', urlOf(postgres), redisUrl(), prefix, backend)
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

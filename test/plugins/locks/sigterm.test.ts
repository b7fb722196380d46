import { Redis } from 'ioredis'
import t from 'tap'
import type { Test } from 'tap'
import { redisUrl, testPrefix, until } from '../../helper.js'
import { spawnScript } from '../../services/locks/postgres/helper.js'

interface Stopping extends ReturnType<typeof spawnScript> {
  redis: Redis
  keyOf: (name: string) => string
  port: string
}

/** A process that holds the lock `work`, and where somebody waits for it. */
async function stopping (t: Test, closeTimeout: number): Promise<Stopping> {
  const [redis, prefix] = [new Redis(redisUrl()), testPrefix()]
  t.teardown(() => redis.quit())
  const keyOf = (name: string): string => `${prefix}:{locks}:${name}`
  const spawned = spawnScript(t, '../../../plugins/locks/stopping.js', redisUrl(), prefix, String(closeTimeout))
  const port = await spawned.line()
  await until('one holds it', async () => await redis.exists(keyOf('work')) === 1)
  await until('another one waits', async () => (await redis.pubsub('NUMSUB', keyOf('work')))[1] === 1)
  return { ...spawned, redis, keyOf, port }
}

await t.test('SIGTERM ends the waits at once; what is held is given back when its work has ended, and the process ends well', async (t) => {
  const { redis, keyOf, port, child, line, exited } = await stopping(t, 30_000)
  const answer = fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
  await until('the route holds its lock', async () => await redis.exists(keyOf('route')) === 1)
  const start = performance.now()
  child.kill('SIGTERM')
  t.equal(await line(), 'waited FST_LOCKS_ABORTED')
  t.ok(performance.now() - start < 1_000, `${performance.now() - start} ms`)
  child.stdin?.write('request\n')
  t.equal(await (await answer).text(), 'done')
  t.equal(await redis.exists(keyOf('route')), 0)
  await until('longer than the ttl', () => performance.now() - start > 2_500)
  t.equal(await redis.exists(keyOf('work')), 1, 'it is extended, and not given back under running work')
  child.stdin?.write('work\n')
  t.equal(await line(), 'worked')
  t.equal(await line(), 'closed')
  t.equal(await redis.exists(keyOf('work')), 0)
  t.equal(await exited, 0)
})

await t.test('work that outlasts the close timeout is told by its signal, and its lock ends with its ttl', async (t) => {
  const { redis, keyOf, child, line, exited } = await stopping(t, 100)
  child.kill('SIGTERM')
  t.equal(await line(), 'waited FST_LOCKS_ABORTED')
  t.equal(await line(), 'told FST_LOCKS_LOST')
  t.equal(await line(), 'closed')
  t.equal(await exited, 0)
  const left = await redis.pttl(keyOf('work'))
  t.ok(left > 500 && left <= 2_000, `${left} ms`)
  await until('it has ended', async () => await redis.exists(keyOf('work')) === 0, 2_500)
})

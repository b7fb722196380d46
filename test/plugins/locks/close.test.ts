import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import { redisUrl, testPrefix, until } from '../../helper.js'
import { build } from './helper.js'

await t.test('a stop ends the waits, and gives back what is held when its work has ended', async (t) => {
  const [redis, prefix] = [new Redis(redisUrl()), testPrefix()]
  t.teardown(() => redis.quit())
  const app = await build(t, { redis, prefix })
  let finish = (): void => {}
  const running = app.locks.using('a', {}, () => new Promise<void>((resolve) => { finish = resolve }))
  await until('it is held', () => redis.exists(`${prefix}:{locks}:a`).then((found) => found === 1))
  const waiting = t.rejects(app.locks.acquire('a', { wait: 10_000 }), { code: 'FST_LOCKS_ABORTED' })
  await sleep(50) // it waits
  const closing = app.close()
  await waiting
  await t.rejects(app.locks.acquire('b'), { code: 'FST_LOCKS_ABORTED' })
  await sleep(50)
  t.equal(await redis.exists(`${prefix}:{locks}:a`), 1)
  finish()
  await running
  await closing
  t.equal(await redis.exists(`${prefix}:{locks}:a`), 0)
  t.equal(redis.status, 'ready', 'the client of the application stays open')
})

import { Redis } from 'ioredis'
import t from 'tap'
import { after, duplicates, statuses } from './duplicates.js'
import { setUp } from './setup.js'

const lease = 1_500

await t.test('a request in flight while Redis is flushed is not run again by another process, and is replayed when it is done', async (t) => {
  const { one, two, redis, effects } = await setUp(t, { options: { lease } })
  const client = new Redis(redis.url)
  t.teardown(() => client.quit())
  const keys = ['a', 'b', 'c', 'd', 'e']
  for (const key of keys) {
    const first = one.post(key, { hold: true })
    await effects.reach(key, 1)
    await client.flushall()
    const answers = await duplicates(two, key, after(lease))
    t.strictSame(statuses(answers), [409], `of ${answers.length} duplicates of ${key}`)
    one.open(key)
    const { status, text } = await first
    t.equal(status, 201)
    for (const instance of [two, one]) t.match(await instance.post(key), { status: 201, text, replayed: true })
  }
  t.strictSame(await effects.repeated(), [])
})

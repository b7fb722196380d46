import { Redis } from 'ioredis'
import t from 'tap'
import { setUp } from './setup.js'

await t.test('a finished request is replayed by every process after Redis was flushed', async (t) => {
  const { one, two, redis, effects } = await setUp(t)
  const client = new Redis(redis.url)
  t.teardown(() => client.quit())
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`)
  const firsts = await Promise.all(keys.map((key) => one.post(key)))
  await client.flushall()
  for (const [index, key] of keys.entries()) {
    for (const instance of [two, one]) t.match(await instance.post(key), { status: 201, text: firsts[index]?.text, replayed: true })
  }
  t.strictSame(await effects.repeated(), [])
})

await t.test('a request finished just before Redis is flushed is replayed, again and again', async (t) => {
  const { one, two, redis, effects } = await setUp(t)
  const client = new Redis(redis.url)
  t.teardown(() => client.quit())
  for (let round = 0; round < 20; round++) {
    const { text } = await one.post(`k${round}`)
    await client.flushall()
    t.match(await two.post(`k${round}`), { status: 201, text, replayed: true })
  }
  t.strictSame(await effects.repeated(), [])
})

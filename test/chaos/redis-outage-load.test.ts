import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { loadOf } from './load.js'
import { setUp } from './setup.js'

/** How long Redis is away, ms. */
const outages = [800, 1_500, 3_000]

await t.test('while Redis dies and comes back empty under load, no request that is sent to two processes at once runs twice', async (t) => {
  const { one, two, redis, effects } = await setUp(t, { options: { lease: 5_000 } })
  const load = loadOf(8, async () => {
    const key = randomUUID()
    return { key, answers: await Promise.all([one, two].map((instance) => instance.post(key, { work: 20 }))) }
  })
  await load.reach(100)
  for (const outage of outages) {
    await redis.kill()
    await sleep(outage) // its length is the subject
    await redis.start()
    await load.reach(load.results.length + 300)
  }
  const sent = await load.stop()

  const repeated = await effects.repeated()
  t.comment(`${repeated.length} of ${sent.length} keys ran twice`)
  t.strictSame(repeated, [])
  const failed = sent.flatMap(({ answers }) => answers).filter(({ status }) => status !== 201 && status !== 409)
  t.strictSame(failed, [], 'no request fails')
  const contradicted = await Promise.all(sent.map(async ({ key, answers }) => {
    const texts = new Set([...answers, await two.post(key)].filter(({ status }) => status === 201).map(({ text }) => text))
    return texts.size === 1 ? [] : [key]
  }))
  t.strictSame(contradicted.flat(), [], 'every answer, and a later retry, tells the same')
})

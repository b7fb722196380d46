import t from 'tap'
import { after, duplicates, statuses } from './duplicates.js'
import { setUp } from './setup.js'

const lease = 2_000

await t.test('the process that runs a request loses Redis, the other has it: the claim there holds for its lease, and the answer is replayed', async (t) => {
  const { one, two, proxies, effects } = await setUp(t, { options: { lease }, proxied: true })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  proxies.redis[0]?.blackHole()
  t.strictSame(statuses(await duplicates(two, 'k', after(lease / 2))), [409])
  one.open('k')
  const { status, text } = await first
  t.equal(status, 201)
  const last = (await duplicates(two, 'k', ({ status }) => status !== 409)).pop()
  t.match(last, { status: 201, text, replayed: true }, 'found in Postgres when the claim in Redis is over')
  proxies.redis[0]?.heal()
  t.match(await one.post('k'), { status: 201, text, replayed: true })
  t.equal(await effects.count('k'), 1)
})

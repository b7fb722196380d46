import t from 'tap'
import { after, duplicates, statuses } from './duplicates.js'
import { setUp } from './setup.js'

const lease = 1_000

await t.test('with afterCrash: \'uncertain\' a request whose process died is never run again', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease }, routes: { '/work': { afterCrash: 'uncertain' } } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  await one.kill()
  await first

  const inFlight = await duplicates(two, 'k', ({ code }) => code !== 'FST_IDEMPOTENCY_IN_FLIGHT')
  t.strictSame(statuses(inFlight), [409], 'the last one says that the outcome is not known')
  const later = await duplicates(two, 'k', after(2 * lease))
  t.strictSame(statuses(later), [409])
  t.notOk(later.some(({ code }) => code === 'FST_IDEMPOTENCY_IN_FLIGHT'))
  t.equal(await effects.count('k'), 1)
})

await t.test('with afterCrash: \'uncertain\' a handler that answers is replayed as ever', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease }, routes: { '/work': { afterCrash: 'uncertain' } } })
  const first = await one.post('k')
  t.equal(first.status, 201)
  t.match(await two.post('k'), { status: 201, text: first.text, replayed: true })
  t.equal(await effects.count('k'), 1)
})

import t from 'tap'
import { until } from '../helper.js'
import { setUp } from './setup.js'

await t.test('without Redis and Postgres a route runs nothing, or runs unprotected and says so, as it was told', async (t) => {
  const routes = { '/reject': { onStoreFailure: 'reject' }, '/proceed': { onStoreFailure: 'proceed' } }
  const { one, two, redis, postgres, effects } = await setUp(t, { routes, postgres: 'own' })
  await Promise.all([redis.kill(), postgres?.kill()])
  for (const instance of [one, two, one]) {
    const answer = await instance.post('rejected', { route: '/reject' })
    t.equal(answer.status, 503)
    t.ok((answer.retryAfter ?? 0) >= 1)
    t.match(await instance.post('proceeded', { route: '/proceed' }), { status: 201, protection: 'bypassed', replayed: false })
  }
  t.equal(await effects.count('rejected'), 0)
  t.equal(await effects.count('proceeded'), 3)

  await Promise.all([redis.start(), postgres?.start()])
  const answer = await until('the key is not refused any more', async () => {
    const tried = await one.post('rejected', { route: '/reject' })
    return tried.status !== 503 && tried
  }, 60_000)
  t.match(answer, { status: 201, protection: 'created' }, 'a refused key is free')
  t.match(await two.post('rejected', { route: '/reject' }), { status: 201, text: answer.text, replayed: true })
  t.equal(await effects.count('rejected'), 1)
})

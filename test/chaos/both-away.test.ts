import t from 'tap'
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
  let answer = await one.post('rejected', { route: '/reject' })
  while (answer.status === 503) answer = await one.post('rejected', { route: '/reject' })
  t.match(answer, { status: 201, protection: 'created' }, 'a refused key is free')
  t.match(await two.post('rejected', { route: '/reject' }), { status: 201, text: answer.text, replayed: true })
  t.equal(await effects.count('rejected'), 1)
})

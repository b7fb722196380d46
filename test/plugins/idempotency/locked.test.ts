import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import { build } from '../locks/helper.js'
import { post, principal } from './helper.js'

await t.test('a busy lock does not use up the key, whatever is stored', async (t) => {
  const app = await build(t)
  await app.register(idempotency, { store: 'memory', principal, stored: 'all' })
  app.post('/', { config: { lock: { key: () => 'order' } } }, async () => 'done')
  const grant = await app.locks.acquire('order')
  t.equal((await post(app, '/')).statusCode, 409)
  await grant.release()
  t.match(await post(app, '/'), { statusCode: 200, headers: { 'idempotency-status': 'created' } })
})

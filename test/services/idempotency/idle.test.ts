import t from 'tap'
import { timings } from '../../../services/idempotency/stores/tier.js'
import { ownRedis } from '../../own-servers.js'
import { again, newClaim } from './conformance.js'
import { instance, ownPostgres } from './instance.js'

await t.test('an instance without requests notices a frozen Redis too: its claim is not granted when that wakes, beside one in Postgres', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const [busy, idle] = [await instance(t, server, postgres, (link) => link, timings), await instance(t, server, postgres, (link) => link, timings)]
  const warm = newClaim()
  await idle.store.claim(warm)
  await idle.store.release(warm)
  server.signal('SIGSTOP')
  t.teardown(() => { server.signal('SIGCONT') })
  t.match(await busy.store.claim(newClaim()), { state: 'claimed' }, 'it notices')
  const claim = newClaim({ lease: 30_000 })
  t.match(await busy.store.claim(claim), { state: 'claimed' })
  const second = idle.store.claim(again(claim))
  server.signal('SIGCONT')
  t.match(await second, { state: 'running', token: claim.token })
})

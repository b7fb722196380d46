import t from 'tap'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { fairNow } from '../../fair-clock.js'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { again, newClaim, response } from './conformance.js'
import { linked, prefix } from './link.js'

await t.test('an emptied script cache costs no call', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  const claim = newClaim()
  await link.claim(claim)
  await client.script('FLUSH')
  t.same(await Promise.all([link.complete(claim, response), link.release(newClaim())]), ['held', 'missing'])
})

await t.test('without memory every write fails with OOM, and what needs none works', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  const claim = newClaim()
  await link.claim(claim)
  await client.config('SET', 'maxmemory', '1')
  const [claimed, completed, extended] = await Promise.allSettled([link.claim(newClaim()), link.complete(claim, response), link.extend([claim])])
  t.match([claimed, completed], [{ status: 'rejected', reason: { message: /^OOM/ } }, { status: 'rejected', reason: { message: /^OOM/ } }])
  t.match(extended, { status: 'fulfilled', value: ['held'] })
  await client.config('SET', 'maxmemory', '0')
  t.equal(await link.complete(claim, response), 'held')
})

await t.test('without memory a takeover fails alone, and the calls after it have their own answers', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  const [late, running] = [newClaim({ lease: 1 }), newClaim()]
  await Promise.all([link.claim(late), link.claim(running)])
  await until('the lease ends', async () => {
    const seen = await link.get(late.id)
    return seen?.state === 'running' && seen.leaseLeft === 0
  })
  await client.config('SET', 'maxmemory', '1')
  const [taken, seen] = await Promise.allSettled([link.claim(again(late)), link.get(running.id)])
  t.match(taken, { status: 'rejected', reason: { message: /^OOM/ } })
  t.match(seen, { status: 'fulfilled', value: { state: 'running', token: running.token } })
})

await t.test('a replica refuses every write with READONLY', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  const claim = newClaim()
  await link.claim(claim)
  await client.config('SET', 'replica-serve-stale-data', 'yes')
  await client.replicaof('127.0.0.1', 1)
  const calls = [link.claim(newClaim()), link.complete(claim, response), link.extend([claim]), link.release(claim)]
  for (const call of await Promise.allSettled(calls)) t.match(call, { status: 'rejected', reason: { message: /^READONLY/ } })
})

await t.test('a server that answers nothing fails all calls after half a second, and no error tells what was to be stored', async (t) => {
  const server = await ownRedis(t)
  const { link } = await linked(t, server)
  const claim = newClaim()
  await link.claim(claim)
  server.signal('SIGSTOP')
  const [start, fair] = [performance.now(), fairNow()]
  const calls = await Promise.allSettled([link.claim(newClaim()), link.complete(claim, response), link.probe()])
  const [waited, fairly] = [performance.now() - start, fairNow() - fair]
  server.signal('SIGCONT')
  t.ok(calls.every(({ status }) => status === 'rejected'))
  t.ok(waited > 400 && fairly < 1_500, `${waited} ms`)
  t.notMatch(JSON.stringify(calls.map((call) => call.status === 'rejected' && { ...call.reason })), claim.token)
  t.equal(await until('it answers again', () => link.complete(claim, response).catch(() => null)), 'held')
})

await t.test('a lost connection fails all calls at once and is told, and a call repeated afterwards is granted', async (t) => {
  const server = await ownRedis(t)
  const { connection, client } = await linked(t, server)
  let lost = 0
  const link = createRedisLink({ redis: connection, prefix, onConnectionLost: () => { lost++ } })
  await link.renew()
  await link.probe() // the script is loaded
  const claim = newClaim()
  server.signal('SIGSTOP')
  const calls = [link.claim(claim), link.probe()]
  await new Promise((resolve) => setImmediate(resolve))
  const start = fairNow()
  connection.stream.destroy()
  for (const call of await Promise.allSettled(calls)) t.equal(call.status, 'rejected')
  t.ok(fairNow() - start < 200)
  t.equal(lost, 1)
  server.signal('SIGCONT')
  t.same(await until('it is connected again', () => link.claim(claim).catch(() => null)), { state: 'claimed', recovered: false })
  t.equal(await client.exists(`${prefix}:${claim.id}`), 1)
  await link.close()
  connection.stream.destroy()
  await until('it is closed again', () => connection.status !== 'ready')
  t.equal(lost, 1, 'a closed link tells nothing more')
})

await t.test('an error of the server carries nothing of the batch', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  await client.acl('SETUSER', 'default', '-evalsha')
  const error: unknown = await link.claim(newClaim()).catch((error: unknown) => error)
  t.match(error, { message: /^NOPERM/ })
  t.notOk(error instanceof Error && 'command' in error)
})

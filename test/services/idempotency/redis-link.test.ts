import t from 'tap'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { again, newClaim, response } from './conformance.js'
import { callsOf, linked, prefix } from './link.js'

const server = await ownRedis(t)

await t.test('all calls of one turn of the event loop are one script call, executed in their order', async (t) => {
  const { link, client } = await linked(t, server)
  const claim = newClaim()
  await link.probe() // the script is loaded
  await client.config('RESETSTAT')
  const results = await Promise.all([
    link.get(claim.id),
    link.claim(claim),
    link.claim(again(claim)),
    link.extend([claim, again(claim), newClaim()]),
    link.get(claim.id),
    link.complete(again(claim), response),
    link.complete(claim, { ...response, body: 'ü' }),
    link.claim(again(claim)),
    link.release(claim),
    link.release(newClaim()),
    link.complete(newClaim(), response)
  ])
  const running = { state: 'running', token: claim.token, fingerprint: claim.fingerprint }
  t.match(results, [
    null, { state: 'claimed', recovered: false }, running, ['held', 'other', 'missing'], running,
    'other', 'held', { state: 'completed', token: claim.token, response: { ...response, body: 'ü' } }, 'other', 'missing', 'missing'
  ])
  t.equal(await callsOf(client, 'evalsha'), 1)
})

await t.test('every operation has its own retention', async (t) => {
  const { link, client } = await linked(t, server)
  const claims = [100_000, 200_000, 200_000, 50_000].map((retention) => newClaim({ retention }))
  const settled = newClaim({ retention: 300_000 })
  await Promise.all([...claims.map((claim) => link.claim(claim)), link.get(settled.id), link.claim(settled)])
  for (const { id, retention } of [...claims, settled]) {
    const left = await client.pttl(`${prefix}:${id}`)
    t.ok(left <= retention && left > retention - 10_000, `${left} of ${retention}`)
  }
})

await t.test('very many calls leave as several, so that Redis serves others in between', async (t) => {
  const { link, client } = await linked(t, server)
  await link.probe() // the script is loaded
  await client.config('RESETSTAT')
  const results = await Promise.all(Array.from({ length: 1_000 }, () => link.claim(newClaim())))
  t.ok(results.every(({ state }) => state === 'claimed'))
  t.equal(await callsOf(client, 'evalsha'), 4)
})

await t.test('bodies of 256 KiB come back as they were, many at once', async (t) => {
  const { link } = await linked(t, server)
  const text = 'ü'.repeat(131_072)
  const bytes = Buffer.alloc(262_144, Uint8Array.from({ length: 256 }, (_, byte) => byte))
  await Promise.all([text, bytes, text, bytes, text, bytes, text, bytes].map(async (body) => {
    const claim = newClaim()
    await link.claim(claim)
    t.equal(await link.complete(claim, { ...response, body }), 'held')
    const found = await link.get(claim.id)
    t.ok(found?.state === 'completed' && Buffer.from(body).equals(Buffer.from(found.response.body)))
  }))
})

await t.test('a value that this version does not understand, or another type, fails its own call only', async (t) => {
  const { link, client } = await linked(t, server)
  const [later, broken, list, empty, fine] = [newClaim(), newClaim(), newClaim(), newClaim(), newClaim()]
  await client.set(`${prefix}:${later.id}`, 'z of a later version')
  await client.set(`${prefix}:${broken.id}`, `r${broken.token}${broken.fingerprint}soon`)
  await client.set(`${prefix}:${empty.id}`, '')
  await client.rpush(`${prefix}:${list.id}`, 'a')
  const calls = [later, broken, list, empty].flatMap((claim) => [link.claim(again(claim)), link.get(claim.id)])
  const other = link.claim(fine)
  for (const result of await Promise.allSettled(calls)) {
    t.match(result, { status: 'rejected', reason: { message: /does not understand|WRONGTYPE/ } })
  }
  t.same(await other, { state: 'claimed', recovered: false })
  t.equal(await link.complete(fine, response), 'held')
  t.equal(await link.complete(later, response), 'other')
})

await t.test('a claim whose key another program has made a list is lost, and those of the same call are extended', async (t) => {
  const { link, client } = await linked(t, server)
  const [mine, list, gone] = [newClaim(), newClaim(), newClaim()]
  for (const claim of [mine, list]) await link.claim(claim)
  await client.del(`${prefix}:${list.id}`)
  await client.rpush(`${prefix}:${list.id}`, 'a')
  t.same(await link.extend([mine, list, gone]), ['held', 'other', 'missing'])
})

await t.test('a key prefix of the client stands before every key', async (t) => {
  const { link, client } = await linked(t, server, { keyPrefix: 'mine:' })
  const claim = newClaim()
  await link.claim(claim)
  t.equal(await client.exists(`mine:${prefix}:${claim.id}`, `mine:${prefix}:generation`), 2)
  let woken = 0
  await link.subscribe(claim.id, () => { woken++ })
  await link.release(claim)
  await until('the release wakes', () => woken === 1)
})

await t.test('a finished record with a body of 200 bytes takes less than 1 KB of Redis', async (t) => {
  const { link, client } = await linked(t, server)
  const claim = newClaim()
  await link.claim(claim)
  await link.complete(claim, { ...response, body: 'x'.repeat(200) })
  const bytes = await client.memory('USAGE', `${prefix}:${claim.id}`) ?? Infinity
  t.comment(`${bytes} bytes`)
  t.ok(bytes < 1_000, `${bytes} bytes`)
})

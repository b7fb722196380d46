import t from 'tap'
import { GenerationChanged, isGenerationChanged } from '../../../services/idempotency/stores/redis-link.js'
import { ownRedis } from '../../own-servers.js'
import { again, newClaim, response } from './conformance.js'
import { callsOf, linked, prefix } from './link.js'

await t.test('the first process makes the generation, which lives for ever, and the others find it', async (t) => {
  const server = await ownRedis(t)
  const { link, client } = await linked(t, server)
  t.equal(await client.ttl(`${prefix}:generation`), -1)
  await linked(t, server)
  t.strictSame(await link.renew(), { changed: false, lost: false, recoveryLeft: 0 })
})

await t.test('when the generation is another, nothing of a batch is executed, at no round trip more', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  const [running, fresh] = [newClaim(), newClaim()]
  await link.claim(running)
  await client.set(`${prefix}:generation`, 'another')
  await client.config('RESETSTAT')
  const results = await Promise.allSettled([link.claim(fresh), link.complete(running, response), link.extend([running]), link.release(running), link.get(running.id), link.probe()])
  t.ok(results.every((result) => result.status === 'rejected' && isGenerationChanged(result.reason)), JSON.stringify(results))
  t.equal(await callsOf(client, 'evalsha'), 2) // the probe is a call of its own
  t.equal(await client.exists(`${prefix}:${fresh.id}`), 0)
  t.match(await client.get(`${prefix}:${running.id}`), new RegExp(`^r${running.token}`))
})

await t.test('after a flush every call fails until the generation is renewed', async (t) => {
  const server = await ownRedis(t)
  const [one, other] = [await linked(t, server), await linked(t, server)]
  await one.client.flushall()
  await t.rejects(one.link.claim(newClaim()), GenerationChanged)
  await t.rejects(one.link.probe(), GenerationChanged)
  t.strictSame(await one.link.renew(), { changed: true, lost: true, recoveryLeft: 0 })
  t.match(await one.link.claim(newClaim()), { state: 'claimed' })
  await t.rejects(other.link.probe(), GenerationChanged)
  t.strictSame(await other.link.renew(), { changed: true, lost: false, recoveryLeft: 0 })
  await other.link.probe()
})

await t.test('renewals at the same time have one answer', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  await client.flushall()
  const answers = await Promise.all([link.renew(), link.renew(), link.renew()])
  t.ok(answers.every(({ changed, lost }) => changed && lost))
})

await t.test('another server behind the same data counts as changed, however the connection was lost', async (t) => {
  const server = await ownRedis(t, { persistent: true })
  const { link, reconnected } = await linked(t, server)
  const claim = newClaim()
  await link.claim(claim)
  await server.kill()
  await server.start()
  await reconnected()
  await t.rejects(link.claim(again(claim)), GenerationChanged)
  await t.rejects(link.get(claim.id), GenerationChanged)
  t.match(await link.renew(), { changed: true, lost: true })
  t.match(await link.claim(again(claim)), { state: 'running', token: claim.token })
  t.match(await link.renew(), { changed: false })
})

await t.test('a connection that was lost and made again to the same server changes nothing', async (t) => {
  const { link, connection, client, reconnected } = await linked(t, await ownRedis(t))
  const closed = new Promise((resolve) => connection.once('close', resolve))
  await client.client('KILL', 'ID', await connection.client('ID'))
  await closed
  await reconnected()
  t.match(await link.claim(newClaim()), { state: 'claimed' })
})

await t.test('an announced outage is noticed by every other process, with what is left of its note', async (t) => {
  const server = await ownRedis(t)
  const [one, other] = [await linked(t, server), await linked(t, server)]
  await one.link.announce(60_000)
  await one.link.probe()
  await t.rejects(other.link.claim(newClaim()), GenerationChanged)
  const renewal = await other.link.renew()
  t.match(renewal, { changed: true, lost: false })
  t.ok(renewal.recoveryLeft > 50_000 && renewal.recoveryLeft <= 60_000, `${renewal.recoveryLeft}`)
  await one.link.announce(1_000)
  t.ok((await other.link.renew()).recoveryLeft > 50_000, 'a shorter note does not replace a longer one')
  await one.link.announce(90_000.5)
  t.ok((await other.link.renew()).recoveryLeft > 80_000, 'a longer one does')
})

await t.test('a user that may not call INFO is believed', async (t) => {
  const server = await ownRedis(t)
  const { client } = await linked(t, server)
  await client.acl('SETUSER', 'plain', 'on', '>secret', '~*', '&*', '+@all', '-info')
  const { link } = await linked(t, server, { username: 'plain', password: 'secret' })
  t.match(await link.claim(newClaim()), { state: 'claimed' })
})

import t from 'tap'
import { keyOf, locked, otherProcess } from './helper.js'

await t.test('processes that take names crosswise never wait for each other for ever, and count exactly', async (t) => {
  const { servers, clients: [client] } = await locked(t)
  const orders = [[['a', 'b'], ['b'], ['a']], [['b', 'a'], ['a'], ['b']]]
  const others = await Promise.all(orders.map(() => otherProcess(t, servers)))
  for (const [index, other] of others.entries()) other.order({ do: 'count', workers: 9, rounds: 20, names: orders[index] ?? [] })
  for (const other of others) await other.told('counted')
  t.same(await client?.mget('a', 'b'), ['240', '240'], 'two of three of 360 rounds each')
  t.equal(await client?.exists(keyOf('a'), keyOf('b')), 0)
})

await t.test('a process that was paused past its ttl knows it at the first look, and its release leaves the next holder alone', async (t) => {
  const { locks, servers, clients: [client] } = await locked(t)
  const other = await otherProcess(t, servers)
  other.order({ do: 'hold', ttl: 300 })
  await other.told('held')
  other.order({ do: 'look' })
  t.same(await other.told('looked'), { code: null })
  process.kill(other.pid, 'SIGSTOP')
  const next = await locks.acquire('held', { wait: 5_000 })
  const value = await client?.get(keyOf('held'))
  other.order({ do: 'look' })
  process.kill(other.pid, 'SIGCONT')
  t.same(await other.told('looked'), { code: 'FST_LOCKS_LOST', aborted: true })
  other.order({ do: 'release' })
  await t.rejects(other.told('released'), /FST_LOCKS_LOST|was lost/)
  t.equal(await client?.get(keyOf('held')), value)
  next.assertHeld()
  t.equal(await next.release(), true)
})

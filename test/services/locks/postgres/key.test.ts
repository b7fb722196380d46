import t from 'tap'
import { halvesOf, keysOf, lockKey } from '../../../../services/locks/postgres/key.js'
import { testPool } from '../../../helper.js'

await t.test('names that 32 bits of hashtext take for one have keys of their own', (t) => {
  t.not(lockKey('holdfast', 'user:78002'), lockKey('holdfast', 'user:180762'))
  t.end()
})

await t.test('200,000 names have 200,000 keys', (t) => {
  t.equal(new Set(Array.from({ length: 200_000 }, (_, index) => lockKey('holdfast', `user:${index}`))).size, 200_000)
  t.end()
})

await t.test('the namespace is apart from the name', (t) => {
  t.not(lockKey('a', 'b:c'), lockKey('a:b', 'c'))
  t.not(lockKey('a', 'b'), lockKey('b', 'a'))
  t.end()
})

await t.test('the key stays the same in every version, or two of them would share no lock', (t) => {
  t.equal(lockKey('holdfast', 'order:1'), '-3651749403827811364')
  t.end()
})

await t.test('several are ascending by number, once each', (t) => {
  const keys = [...keysOf('holdfast', ['c', 'a', 'b', 'a']).keys()].map(BigInt)
  t.strictSame(keys, [...keys].sort((a, b) => a < b ? -1 : 1))
  t.equal(keys.length, 3)
  t.end()
})

await t.test('Postgres has the key whole, and its halves where we expect them', async (t) => {
  const pool = await testPool(t)
  const client = await pool.connect()
  for (const name of ['order:1', 'order:2', 'order:3', 'order:4', 'ä']) {
    const key = lockKey('holdfast', name)
    const { high, low } = halvesOf(key)
    await client.query('SELECT pg_advisory_lock($1::bigint)', [key])
    const { rows } = await client.query("SELECT classid::bigint AS high, objid::bigint AS low, (classid::bigint << 32 | objid::bigint)::text AS key FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
    t.match(rows, [{ high: String(high >>> 0), low: String(low >>> 0), key }])
    await client.query('SELECT pg_advisory_unlock_all()')
  }
  client.release()
})

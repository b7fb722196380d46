import { getEventListeners, setMaxListeners } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { StoredRecord } from '../../../services/idempotency/record.js'
import { untilEnded } from '../../../services/idempotency/wait.js'
import { until } from '../../helper.js'

const running: StoredRecord = { state: 'running', fingerprint: 'f', token: 'a', leaseLeft: 60_000 }
const tombstone: StoredRecord = { state: 'tombstone', fingerprint: 'f', token: 'a' }
const reason = new Error('the client is gone')
const never = (): Promise<never> => new Promise(() => {})

await t.test('an abort does not wait for a look or a subscription that hangs', async (t) => {
  for (const watched of [{ get: never }, { get: async () => running, subscribe: never }]) {
    const client = new AbortController()
    const wait = untilEnded(watched, 'id', 'a', client.signal)
    client.abort(reason)
    await t.rejects(wait, reason)
  }
})

await t.test('a subscription that was made after the abort is ended', async (t) => {
  let subscribed = (_unsubscribe: () => void): void => {}
  const client = new AbortController()
  const wait = untilEnded({ get: async () => running, subscribe: () => new Promise((resolve) => { subscribed = resolve }) }, 'id', 'a', client.signal)
  client.abort(reason)
  await t.rejects(wait, reason)
  let over = false
  subscribed(() => { over = true })
  await until('it is ended', () => over)
})

await t.test('a wake during a look leads to another look', async (t) => {
  let wake = (): void => {}
  let looks = 0
  const get = async (): Promise<StoredRecord> => {
    if (++looks > 1) return tombstone
    wake()
    return running
  }
  const subscribe = async (_id: string, onChange: () => void): Promise<() => void> => {
    wake = onChange
    return () => {}
  }
  const wait = untilEnded({ get, subscribe }, 'id', 'a', new AbortController().signal)
  await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(looks, 2, 'without a pause')
  t.same(await wait, tombstone)
})

await t.test('without a subscription the pauses grow to half a second', async (t) => {
  const looks: number[] = []
  const get = async (): Promise<StoredRecord> => {
    looks.push(performance.now())
    return looks.length > 9 ? tombstone : running
  }
  await untilEnded({ get }, 'id', 'a', new AbortController().signal)
  const pauses = looks.slice(1).map((at, index) => at - (looks[index] ?? 0))
  for (const pause of pauses.slice(5)) t.ok(pause > 245, `${pause} ms later on`)
})

await t.test('what a look or a subscription throws ends the wait', async (t) => {
  const failing = (): Promise<never> => Promise.reject(new Error('no connection'))
  await t.rejects(untilEnded({ get: failing }, 'id', 'a', new AbortController().signal), { message: 'no connection' })
  await t.rejects(untilEnded({ get: async () => running, subscribe: failing }, 'id', 'a', new AbortController().signal), { message: 'no connection' })
})

await t.test('waits on a signal that lives long leave nothing on it, whatever was collected meanwhile', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  let record: StoredRecord = running
  const wakes: Array<() => void> = []
  const watched = { get: async () => record, subscribe: async (_id: string, wake: () => void) => { wakes.push(wake); return () => {} } }
  const waits = Array.from({ length: 20 }, () => untilEnded(watched, 'id', 'a', signal))
  await until('all look', () => wakes.length === waits.length)
  t.equal(getEventListeners(signal, 'abort').length, waits.length)
  await nextTurn() // what a weak reference was made for is kept until the end of its turn
  collect()
  record = tombstone
  for (const wake of wakes) wake()
  await Promise.all(waits)
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

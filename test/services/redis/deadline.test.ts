import t from 'tap'
import { fairNow } from '../../fair-clock.js'
import { answered } from '../../../services/redis/deadline.js'

const never = (): Promise<string> => new Promise(() => {})
const block = (ms: number): void => { for (const end = performance.now() + ms; performance.now() < end;); }

await t.test('an answer in time is passed on, and so is an error', async (t) => {
  t.equal(await answered(Promise.resolve('ok'), 20), 'ok')
  await t.rejects(answered(Promise.reject(new Error('READONLY')), 20), { message: 'READONLY' })
})

await t.test('no answer in time is an error', async (t) => {
  await t.rejects(answered(never(), 20), { message: 'Redis did not answer within 20 ms' })
})

await t.test('a stall of this process counts for nothing: the answer that lies in the socket is read', async (t) => {
  let reply = (_text: string): void => {}
  const pending = answered(new Promise<string>((resolve) => { reply = resolve }), 20)
  block(200)
  setImmediate(() => setImmediate(reply, 'late'))
  t.equal(await pending, 'late')
})

await t.test('after a stall the wait soon ends', async (t) => {
  const pending = answered(never(), 400)
  block(600)
  const start = fairNow()
  await t.rejects(pending, { message: 'Redis did not answer within 400 ms' })
  const took = fairNow() - start
  t.ok(took < 300, `${Math.round(took)} ms`)
})

import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createBatches } from '../../../services/idempotency/stores/redis-batches.js'
import type { Kind, Send } from '../../../services/idempotency/stores/redis-batches.js'
import { until } from '../../helper.js'

const asked: Kind<string> = { fine: 'fine', exception: (_code, text) => text }

/** A server that answers when it is told to. */
function slowServer () {
  const batches: string[][] = []
  const answers: Array<(error?: Error) => void> = []
  const send: Send = (keys) => new Promise((resolve, reject) => {
    batches.push(keys)
    answers.push((error) => { if (error === undefined) resolve([]); else reject(error) })
  })
  return { send, batches, answer: (error?: Error) => answers.shift()?.(error) }
}

await t.test('calls that come while a batch is on its way leave together when it is answered', async (t) => {
  const { send, batches, answer } = slowServer()
  const run = createBatches(send, 256, 60_000)
  const results = [run(asked, 'a', '', 0)]
  await turn()
  for (const key of ['b', 'c']) {
    results.push(run(asked, key, '', 0))
    await turn()
  }
  t.same(batches, [['a']])
  answer()
  await results[0]
  await turn()
  t.same(batches, [['a'], ['b', 'c']])
  answer()
  t.same(await Promise.all(results), ['fine', 'fine', 'fine'])
})

await t.test('and when it fails', async (t) => {
  const { send, batches, answer } = slowServer()
  const run = createBatches(send, 256, 60_000)
  const first = run(asked, 'a', '', 0)
  await turn()
  const second = run(asked, 'b', '', 0)
  answer(new Error('lost'))
  await t.rejects(first, new Error('lost'))
  await turn()
  t.same(batches, [['a'], ['b']])
  answer()
  t.equal(await second, 'fine')
})

await t.test('a batch that is not answered does not hold up the next one', async (t) => {
  const { send, batches } = slowServer()
  const run = createBatches(send)
  const never = [run(asked, 'a', '', 0)]
  await turn()
  never.push(run(asked, 'b', '', 0))
  await until('the second batch leaves', () => batches.length === 2)
  t.same(batches, [['a'], ['b']])
})

await t.test('very many calls do not wait', async (t) => {
  const { send, batches } = slowServer()
  const run = createBatches(send, 2, 60_000)
  const never = ['a', 'b', 'c', 'd'].map((key) => run(asked, key, '', 0))
  t.equal(never.length, 4)
  t.same(batches, [['a', 'b'], ['c', 'd']])
})

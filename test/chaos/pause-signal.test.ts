import t from 'tap'
import { until } from '../helper.js'
import { duplicates } from './duplicates.js'
import { setUp } from './setup.js'

await t.test('a handler that has lost its key to another process is told by request.idempotency.signal, a running one is not', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease: 1_000 } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  one.signal('SIGSTOP')
  const taken = duplicates(two, 'k', ({ status }) => status !== 409, { hold: true })
  await effects.reach('k', 2)
  t.equal(one.aborted('k'), 0)
  one.signal('SIGCONT')
  await until('the signal is aborted', () => one.aborted('k') === 1)
  t.equal(two.aborted('k'), 0)
  for (const instance of [one, two]) instance.open('k')
  t.equal((await first).status, 201)
  const winner = (await taken).pop()
  t.match(await one.post('k'), { status: 201, text: winner?.text, replayed: true })
  t.equal(await effects.count('k'), 2)
})

import t from 'tap'
import { duplicates } from './duplicates.js'
import { setUp } from './setup.js'

const lease = 1_000

await t.test('a process paused past its lease loses the key: its own client is answered, every retry replays the winner', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  one.signal('SIGSTOP')
  const winner = (await duplicates(two, 'k', ({ status }) => status !== 409)).pop()
  t.match(winner, { status: 201, protection: 'created' })
  one.signal('SIGCONT')
  one.open('k')

  const zombie = await first
  t.equal(zombie.status, 201)
  t.not(zombie.text, winner?.text)
  for (const instance of [one, two, one, two]) t.match(await instance.post('k'), { status: 201, text: winner?.text, replayed: true })
  t.equal(await effects.count('k'), 2)
})

await t.test('a process paused past its lease cannot free or finish the claim of the attempt that took over and still runs', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  one.signal('SIGSTOP')
  const taken = duplicates(two, 'k', ({ status }) => status !== 409, { hold: true })
  await effects.reach('k', 2)
  one.signal('SIGCONT')
  one.open('k')

  t.equal((await first).status, 201)
  t.match(await one.post('k'), { status: 409, code: 'FST_IDEMPOTENCY_IN_FLIGHT' })
  two.open('k')
  const winner = (await taken).pop()
  t.equal(winner?.status, 201)
  for (const instance of [one, two]) t.match(await instance.post('k'), { status: 201, text: winner?.text, replayed: true })
  t.equal(await effects.count('k'), 2)
})

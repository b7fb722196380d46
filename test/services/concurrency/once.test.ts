import t from 'tap'
import { once } from '../../../services/concurrency/once.js'

await t.test('concurrent callers share one attempt, and later ones its result', async (t) => {
  let runs = 0
  const get = once(async () => ++runs)
  t.strictSame(await Promise.all([get(), get(), get()]), [1, 1, 1])
  t.equal(await get(), 1)
})

await t.test('a transient failure is given to all who waited for it and then forgotten', async (t) => {
  let runs = 0
  const get = once(async () => {
    if (++runs === 1) throw new Error('starting')
    return runs
  })
  const [a, b] = await Promise.allSettled([get(), get()])
  t.match([a, b], [{ status: 'rejected', reason: { message: 'starting' } }, { status: 'rejected' }])
  t.equal(await get(), 2)
})

await t.test('a permanent failure is kept', async (t) => {
  let runs = 0
  const get = once(async () => { throw new Error(`wrong password ${++runs}`) }, { isPermanent: () => true })
  await t.rejects(get(), { message: 'wrong password 1' })
  await t.rejects(get(), { message: 'wrong password 1' })
})

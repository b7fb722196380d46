import t from 'tap'
import { testPool, until } from '../../helper.js'
import { keptLog, startFlag, watchedPool } from './helper.js'

await t.test('while nobody has set the flag the defaults hold', async (t) => {
  const flag = await startFlag(t, await testPool(t), { defaults: { enabled: false, percent: 25 } })
  t.same(flag.current(), { enabled: false, percent: 25, revision: 0, updatedAt: null })
})

await t.test('a change holds at once where it was made, and what it does not name stays', async (t) => {
  const flag = await startFlag(t, await testPool(t), { defaults: { enabled: true, percent: 25 } })
  const stored = await flag.set({ enabled: false }, 'me')
  t.match(stored, { enabled: false, percent: 25, revision: 1, updatedAt: Date })
  t.same(flag.current(), stored)
  t.match(await flag.set({ percent: 50 }, 'me'), { enabled: false, percent: 50, revision: 2 })
})

await t.test('a process that starts later finds what was set, not its defaults', async (t) => {
  const pool = await testPool(t)
  const stored = await (await startFlag(t, pool)).set({ enabled: false, percent: 7 }, 'me')
  t.same((await startFlag(t, pool)).current(), stored)
})

await t.test('flags of other names are other flags', async (t) => {
  const pool = await testPool(t)
  await (await startFlag(t, pool, { name: 'other' })).set({ enabled: false }, 'me')
  t.equal((await startFlag(t, pool)).current().enabled, true)
})

await t.test('a change reaches another process within 1 s', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [await startFlag(t, pool), await startFlag(t, pool)]
  for (const percent of [1, 2, 3]) {
    await here.set({ percent }, 'me')
    await until('the change arrives', () => there.current().percent === percent, 1_000)
  }
})

await t.test('a row that was deleted gives the defaults their word back', async (t) => {
  const pool = await testPool(t)
  const flag = await startFlag(t, pool, { pollEvery: 20 })
  await flag.set({ enabled: false }, 'me')
  await pool.query('DELETE FROM feature_flags')
  await until('the defaults hold', () => flag.current().enabled, 1_000)
  t.match(flag.current(), { percent: 100, revision: 0, updatedAt: null })
})

await t.test('a change that names an old revision is refused and changes nothing', async (t) => {
  const flag = await startFlag(t, await testPool(t))
  t.equal(await flag.set({ enabled: false, expectedRevision: 1 }, 'me'), null)
  t.match(await flag.set({ enabled: false, expectedRevision: 0 }, 'me'), { revision: 1 })
  t.match(await flag.set({ percent: 10, expectedRevision: 1 }, 'me'), { revision: 2 })
  for (const expectedRevision of [0, 1, 3]) t.equal(await flag.set({ percent: 90, expectedRevision }, 'me'), null)
  t.match(await flag.refresh(), { enabled: false, percent: 10, revision: 2 })
})

await t.test('of changes to one revision at once one is made', async (t) => {
  const pool = await testPool(t)
  const flags = await Promise.all(Array.from({ length: 8 }, () => startFlag(t, pool)))
  for (const expectedRevision of [0, 1]) {
    const answers = await Promise.all(flags.map((flag, index) => flag.set({ percent: index + 10 * expectedRevision, expectedRevision }, `admin ${index}`)))
    t.equal(answers.filter((answer) => answer !== null).length, 1)
  }
  t.equal((await flags[0]?.refresh())?.revision, 2)
})

await t.test('changes at once that name no revision are all made, and none undoes the other', async (t) => {
  const pool = await testPool(t)
  const [one, two] = [await startFlag(t, pool), await startFlag(t, pool)]
  for (const round of [1, 2, 3, 4, 5]) {
    await Promise.all([one.set({ enabled: round % 2 === 0 }, 'one'), two.set({ percent: round }, 'two')])
    t.match(await one.refresh(), { enabled: round % 2 === 0, percent: round })
  }
  t.equal(one.current().revision, 10)
})

await t.test('the same change again is no change', async (t) => {
  const flag = await startFlag(t, await testPool(t))
  const stored = await flag.set({ percent: 5 }, 'me')
  t.same(await flag.set({ percent: 5 }, 'me'), stored)
  t.same(await flag.set({ percent: 5, expectedRevision: 1 }, 'you'), stored)
})

await t.test('a change whose answer was lost may be sent again with its revision, by the same caller', async (t) => {
  const flag = await startFlag(t, await testPool(t))
  const stored = await flag.set({ percent: 5, expectedRevision: 0 }, 'me')
  t.same(await flag.set({ percent: 5, expectedRevision: 0 }, 'me'), stored)
  t.equal(await flag.set({ percent: 5, expectedRevision: 0 }, 'you'), null)
  t.equal(await flag.set({ percent: 6, expectedRevision: 0 }, 'me'), null)
})

await t.test('every change is logged with who made it, its old and its new value', async (t) => {
  const { log, lines } = keptLog()
  const flag = await startFlag(t, await testPool(t), { log })
  await flag.set({ percent: 5 }, 'me')
  await flag.set({ percent: 5 }, 'me')
  const changes = lines.filter(({ message }) => message === 'an administrator changed a feature flag')
  t.match(changes, [{ level: 'info', fields: { flag: 'test', by: 'me', from: { enabled: true, percent: 100, revision: 0 }, to: { enabled: true, percent: 5, revision: 1 } } }])
  t.equal(changes.length, 1)
})

await t.test('a reading that was overtaken by a later one changes nothing', async (t) => {
  const pool = await testPool(t)
  let delay: Promise<void> | undefined
  const late = watchedPool(pool, () => delay)
  const flag = await startFlag(t, late, { pollEvery: 60_000 })
  let arrive = (): void => {}
  delay = new Promise((resolve) => { arrive = resolve })
  const early = flag.refresh()
  delay = undefined
  await flag.set({ percent: 5 }, 'me')
  arrive()
  await early
  t.equal(flag.current().percent, 5)
})

await t.test('closed, it reads no more', async (t) => {
  const pool = await testPool(t)
  const reads = { closed: 0, open: 0 }
  const flag = await startFlag(t, watchedPool(pool, () => { reads.closed++; return undefined }), { pollEvery: 1 })
  await until('it polls', () => reads.closed > 3)
  await flag.close()
  const before = reads.closed
  await startFlag(t, watchedPool(pool, () => { reads.open++; return undefined }), { pollEvery: 1 })
  await until('another one has polled for a while', () => reads.open > 30)
  t.equal(reads.closed, before)
})

await t.test('the table takes no percentage beyond 0 and 100, whoever writes', async (t) => {
  const pool = await testPool(t)
  for (const percent of [-1, 101]) {
    await t.rejects(pool.query('INSERT INTO feature_flags (name, enabled, percent, revision, updated_by) VALUES (\'x\', true, $1, 1, \'me\')', [percent]), { code: '23514' })
  }
})

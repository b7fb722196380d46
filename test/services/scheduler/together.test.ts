import { setImmediate } from 'node:timers/promises'
import type pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { createLedger } from '../../../services/scheduler/ledger.js'
import type { BegunRun, HeldRun, Ledger } from '../../../services/scheduler/ledger.js'
import { createTogether } from '../../../services/scheduler/together.js'
import { gate, testPool } from '../../helper.js'
import { insertRun, runOf } from './helper.js'

interface Setup {
  pool: pg.Pool
  ledger: Ledger
  /** Of runs that were handed to a worker. */
  insert: (count: number) => Promise<string[]>
  begin: (id: string) => Promise<BegunRun | null>
  /** Of new runs. */
  begun: (count: number) => Promise<HeldRun[]>
}

async function setUp (t: Test): Promise<Setup> {
  const pool = await testPool(t)
  const ledger = createLedger(pool)
  const begin: Setup['begin'] = (id) => ledger.begin(id, { maxStarts: 3, worker: 'one', lease: 30_000 })
  const insert: Setup['insert'] = (count) => Promise.all(Array.from({ length: count }, () => insertRun(pool, { state: 'enqueued' })))
  const begun: Setup['begun'] = async (count) => (await Promise.all((await insert(count)).map(begin))).map((run) => ({ id: run?.id ?? '', fence: run?.fence ?? '', progress: null }))
  return { pool, ledger, insert, begin, begun }
}

const done = { state: 'done', error: null } as const

async function transactions (pool: pg.Pool): Promise<number> {
  const { rows: [row] } = await pool.query<{ count: number }>('SELECT count(DISTINCT xmin::text)::int FROM scheduler_runs')
  return row?.count ?? 0
}

await t.test('what begins in one turn begins in one transaction, each with a fence of its own, and so it ends', async (t) => {
  const { pool, ledger, begun } = await setUp(t)
  const runs = await begun(50)
  t.equal(new Set(runs.map(({ fence }) => fence)).size, 50)
  t.equal(await transactions(pool), 1)
  t.strictSame(await Promise.all(runs.map((run) => ledger.finish(run, done))), runs.map(() => ({ isOurs: true, heldBack: null })))
  t.equal(await transactions(pool), 1)
})

await t.test('a run that somebody has locked holds up no other, and begins and ends when it is let go', async (t) => {
  const { pool, ledger, insert, begin } = await setUp(t)
  const ids = await insert(3)
  const whileLocked = async <T>(act: (id: string) => Promise<T>): Promise<T> => {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('SELECT FROM scheduler_runs WHERE id = $1 FOR UPDATE', [ids[0]])
    let isSettled = false
    const locked = act(ids[0] ?? '').finally(() => { isSettled = true })
    await Promise.all(ids.slice(1).map(act))
    t.notOk(isSettled)
    await client.query('COMMIT')
    client.release()
    return await locked
  }
  t.match(await whileLocked(begin), { id: ids[0], state: 'running', starts: 1 })
  t.match(await whileLocked(async (id) => await ledger.finish({ id, fence: (await runOf(pool, id)).fence ?? '', progress: null }, done)), { isOurs: true })
})

await t.test('of two that begin one run at the same time one gets it', async (t) => {
  const { pool, insert, begin } = await setUp(t)
  const [id = '', other = ''] = await insert(2)
  const [third, ...both] = await Promise.all([begin(other), begin(id), begin(id)])
  t.match(third, { id: other })
  t.match(both.filter((run) => run !== null), [{ id, state: 'running', starts: 1 }])
  t.equal(both.filter((run) => run === null).length, 1)
  t.match(await runOf(pool, id), { state: 'running', starts: 1 })
})

await t.test('one that is not ours any more, and one that Postgres refuses, spoil no other', async (t) => {
  const { pool, ledger, begun } = await setUp(t)
  const runs = await begun(3)
  const [ours, lost, refused] = runs as [HeldRun, HeldRun, HeldRun]
  await pool.query("UPDATE scheduler_runs SET fence = nextval('scheduler_fences') WHERE id = $1", [lost.id])
  const ends = await Promise.allSettled([ledger.finish(ours, done), ledger.finish(lost, done), ledger.finish({ ...refused, progress: { done: 2 ** 31, total: null } }, done)])
  t.match(ends, [{ value: { isOurs: true } }, { value: { isOurs: false } }, { reason: { code: '22003' } }])
  t.strictSame(await Promise.all(runs.map(async ({ id }) => (await runOf(pool, id)).state)), ['done', 'running', 'running'])
})

await t.test('a statement that hangs holds up none that comes after it', async (t) => {
  const hangs = gate()
  const together = createTogether<{ id: string }, { id: string }>({
    free: async (items) => {
      if (items.some(({ id }) => id === 'hangs')) await hangs.opened
      return items
    },
    alone: async () => undefined
  })
  const hanging = together({ id: 'hangs' })
  for (const id of ['first', 'second']) {
    await setImmediate()
    t.strictSame(await together({ id }), { id })
  }
  hangs.open()
  t.strictSame(await hanging, { id: 'hangs' })
})

import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { queryOf } from '../../../services/database/query.js'
import type { Query } from '../../../services/database/query.js'
import { testPool } from '../../helper.js'
import { kinds, processesOf } from './both.js'
import { inTransaction } from './postgres/helper.js'

for (const kind of kinds) {
  await t.test(`a lock around a transaction is given back after its COMMIT: the next holder always reads what the last one wrote (${kind})`, async (t) => {
    const pool = await testPool(t)
    await pool.query('CREATE TABLE counted AS SELECT 0 AS n')
    const open = await processesOf(t, kind)
    const [byPg, byPrisma] = [await open(), await open()]
    const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
    const stale: unknown[] = []
    let written = 0
    const increment = async (query: Query): Promise<number> => {
      const [row] = await query('SELECT n FROM counted', []) as Array<{ n: number }>
      if (row?.n !== written) stale.push({ read: row?.n, written })
      await query('UPDATE counted SET n = $1', [written + 1])
      return written + 1
    }
    const repeat = async (step: () => Promise<number>): Promise<void> => {
      for (let round = 0; round < 20; round++) await step()
    }
    const options = { wait: 60_000 }
    await Promise.all(Array.from({ length: 2 }, () => [
      repeat(() => byPg.locks.using('counter', options, async () => (written = await inTransaction(pool, increment)))),
      repeat(() => byPrisma.locks.using('counter', options, async () => (written = await prisma.$transaction(async (tx) => await increment(queryOf(tx))))))
    ]).flat())
    t.strictSame(stale, [])
    t.match((await pool.query('SELECT n FROM counted')).rows, [{ n: 80 }])
  })
}

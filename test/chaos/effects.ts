import type { Test } from 'tap'
import { execute } from '../../services/database/execute.js'
import { openPool, until } from '../helper.js'

/** The table in which every run of a handler leaves a row. */
export interface Effects {
  count: (key: string) => Promise<number>
  /** Waits until the key has that many. */
  reach: (key: string, count: number) => Promise<void>
  /** The keys that have more than one. */
  repeated: () => Promise<string[]>
}

/** Makes the table in the database of that URL. The connections end with the test. */
export async function createEffects (t: Test, url: string): Promise<Effects> {
  await execute(url, 'CREATE TABLE effects (key text NOT NULL, attempt text NOT NULL, process integer NOT NULL, at timestamptz NOT NULL DEFAULT now())')
  const pool = openPool(t, url, 2)
  const count = async (key: string): Promise<number> => {
    const { rows } = await pool.query<{ count: number }>('SELECT count(*)::int AS count FROM effects WHERE key = $1', [key])
    return rows[0]?.count ?? 0
  }
  return {
    count,
    async reach (key, wanted) { await until(`${wanted} effects of ${key}`, async () => await count(key) >= wanted) },
    async repeated () {
      const { rows } = await pool.query<{ key: string }>('SELECT key FROM effects GROUP BY key HAVING count(*) > 1 ORDER BY key')
      return rows.map(({ key }) => key)
    }
  }
}

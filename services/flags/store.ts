import type { Pool, QueryConfig } from 'pg'

/** A flag as it is stored. */
export interface FlagRow {
  enabled: boolean
  /** Of the subjects, 0 to 100. */
  percent: number
  /** 1 at first, one more with every change. */
  revision: number
  updatedAt: Date
  updatedBy: string
}

export interface FlagStore {
  /** The row, or null when nobody has set the flag yet. */
  read: () => Promise<FlagRow | null>
  /** The new row, or null when the one that is to be replaced (null: none) is there no more. */
  replace: (expected: FlagRow | null, value: { enabled: boolean, percent: number }, by: string) => Promise<FlagRow | null>
}

const columns = 'enabled, percent, revision, updated_at AS "updatedAt", updated_by AS "updatedBy"'

/** Input: $1 name. Output: the row, if there is one. */
const select = `SELECT ${columns} FROM feature_flags WHERE name = $1`

/** Input: $1 name, $2 enabled, $3 percent, $4 by. Output: the row, unless another one was faster. */
const insert = `
INSERT INTO feature_flags (name, enabled, percent, revision, updated_at, updated_by) VALUES ($1, $2, $3, 1, now(), $4)
ON CONFLICT (name) DO NOTHING
RETURNING ${columns}`

/** Input: $1 name, $2 enabled, $3 percent, $4 by, $5 revision to be replaced. Output: the row, unless its revision is another by now. */
const update = `
UPDATE feature_flags SET enabled = $2, percent = $3, revision = revision + 1, updated_at = now(), updated_by = $4
WHERE name = $1 AND revision = $5
RETURNING ${columns}`

/** The row of one flag in the table feature_flags. */
export function createFlagStore ({ postgres, name, readTimeout }: { postgres: Pool, name: string, readTimeout: number }): FlagStore {
  // The types lack `query_timeout`, which pg reads: https://github.com/brianc/node-postgres/blob/master/packages/pg/lib/client.js
  const reading: QueryConfig & { query_timeout: number } = { text: select, values: [name], query_timeout: readTimeout }
  return {
    async read () {
      const { rows: [row] } = await postgres.query<FlagRow>(reading)
      return row ?? null
    },
    async replace (expected, { enabled, percent }, by) {
      const values = [name, enabled, percent, by]
      const { rows: [row] } = expected === null
        ? await postgres.query<FlagRow>(insert, values)
        : await postgres.query<FlagRow>(update, [...values, expected.revision])
      return row ?? null
    }
  }
}

import pg from 'pg'

export interface ProbeOptions {
  connection: pg.ClientConfig
  timeout: number
  /** What our session calls itself. */
  owner: string
  /** Whether our connection still reaches the session that calls itself so. */
  isMine: () => Promise<boolean>
}

/** A pooler may have other servers at hand than ours. */
const tries = 5

/** Whether the pooler gives our session to others between our transactions: another connection is in a transaction, and finds our session or has taken it away. */
export async function isHandedOn ({ connection, timeout, owner, isMine }: ProbeOptions): Promise<boolean> {
  const other = new pg.Client({ ...connection, connectionTimeoutMillis: timeout, query_timeout: timeout })
  other.on('error', () => { /* its next statement fails */ })
  await other.connect()
  try {
    for (let count = 0; count < tries; count++) {
      await other.query('BEGIN')
      const { rows: [row] } = await other.query<{ owner: string | null }>("SELECT current_setting('holdfast.owner', true) AS owner")
      const isOurs = row?.owner === owner
      // Where there is one server only, ours would wait for the end of the other's transaction.
      if (isOurs || !await isMine()) return true
      await other.query('COMMIT')
    }
    return false
  } finally {
    await other.end()
  }
}

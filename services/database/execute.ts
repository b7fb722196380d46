import pg from 'pg'

/** Runs one statement on a connection of its own: for what no pool can do, such as creating and dropping databases. */
export async function execute (url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

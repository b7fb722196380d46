/** `npm run db:diff -- NAME`: writes the migration that leads from prisma/migrations to prisma/schema.prisma. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDatabase } from '../services/database/index.js'
import { diff } from '../services/database/diff.js'
import { consoleLog } from '../services/log.js'
import { packageRoot } from '../services/package-root.js'
import { loadEnvironment } from '../services/process/environment.js'
import { reportFailure } from '../services/process/report.js'
import { provideDatabase } from './provide-database.js'

const prisma = join(packageRoot(), 'prisma')
const migrations = join(prisma, 'migrations')

await reportFailure('cannot write the migration', async () => {
  const [name = ''] = process.argv.slice(2)
  if (!/^[a-z0-9_]{1,60}$/.test(name)) throw new Error('usage: npm run db:diff -- NAME, with a NAME of lower-case letters, digits and _')
  const sql = await difference()
  console.log(sql === null ? 'The migrations lead to the schema: nothing to write.' : `Wrote ${await write(name, sql)}. Read it, then apply it with npm run db:migrate.`)
})

async function difference (): Promise<string | null> {
  const config = loadEnvironment()
  const { url, release } = await provideDatabase(config)
  const database = createDatabase({ url, deadline: config.databaseConnectTimeoutMs, log: consoleLog })
  try {
    await database.connect()
    return await diff({ url, directory: migrations, schema: await readFile(join(prisma, 'schema.prisma'), 'utf8') })
  } finally {
    await database.close()
    await release()
  }
}

async function write (name: string, sql: string): Promise<string> {
  const folder = `${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}_${name}`
  await mkdir(join(migrations, folder))
  await writeFile(join(migrations, folder, 'migration.sql'), sql)
  return join('prisma', 'migrations', folder, 'migration.sql')
}

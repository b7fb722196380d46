/** `npm run db:diff -- NAME`: writes the migration that leads from prisma/migrations to prisma/schema.prisma. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadConfig } from '../services/config/index.js'
import { diff } from '../services/database/diff.js'
import { packageRoot } from '../services/package-root.js'
import { provideDatabase } from './provide-database.js'

const [name = ''] = process.argv.slice(2)
if (!/^[a-z0-9_]{1,60}$/.test(name)) {
  console.error('Usage: npm run db:diff -- NAME, with a NAME of lower-case letters, digits and _')
  process.exit(2)
}
if (existsSync('.env')) process.loadEnvFile('.env')
const { url, release } = await provideDatabase(loadConfig(process.env))
try {
  const prisma = join(packageRoot(), 'prisma')
  const sql = await diff({ url, directory: join(prisma, 'migrations'), schema: await readFile(join(prisma, 'schema.prisma'), 'utf8') })
  if (sql === null) console.log('The migrations lead to the schema: nothing to write.')
  else console.log(`Wrote ${await write(join(prisma, 'migrations'), sql)}. Read it, then apply it with npm run db:migrate.`)
} finally {
  await release()
}

async function write (migrations: string, sql: string): Promise<string> {
  const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  const folder = join(migrations, `${stamp}_${name}`)
  await mkdir(folder)
  await writeFile(join(folder, 'migration.sql'), sql)
  return join('prisma', 'migrations', `${stamp}_${name}`, 'migration.sql')
}

/** `npm run db:migrate`: applies the migrations that the database lacks. */
import { existsSync } from 'node:fs'
import { loadConfig } from '../services/config/index.js'
import { createDatabase } from '../services/database/index.js'
import { consoleLog } from '../services/log.js'
import { provideDatabase } from './provide-database.js'

if (existsSync('.env')) process.loadEnvFile('.env')
const config = loadConfig(process.env)
const { url, release } = await provideDatabase(config)
const database = createDatabase({ url, deadline: config.databaseConnectTimeoutMs, log: consoleLog })
try {
  await database.connect()
  const names = await database.migrate()
  console.log(names.length === 0 ? 'The database is up to date.' : `Applied: ${names.join(', ')}`)
} finally {
  await database.close()
  await release()
}

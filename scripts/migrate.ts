/** `npm run db:migrate`: applies the migrations that the database lacks. */
import { createDatabase } from '../services/database/index.js'
import { consoleLog } from '../services/log.js'
import { loadEnvironment } from '../services/process/environment.js'
import { reportFailure } from '../services/process/report.js'
import { provideDatabase } from './provide-database.js'

await reportFailure('cannot migrate', async () => {
  const config = loadEnvironment()
  const { url, release } = await provideDatabase(config)
  const database = createDatabase({ url, directUrl: config.databaseDirectUrl, deadline: config.databaseConnectTimeoutMs, log: consoleLog })
  try {
    await database.connect()
    const names = await database.migrate()
    console.log(names.length === 0 ? 'The database is up to date.' : `Applied: ${names.join(', ')}`)
  } finally {
    await database.close()
    await release()
  }
})

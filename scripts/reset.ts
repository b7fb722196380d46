/** `npm run reset`: stops embedded services that nobody uses and wipes their data, those of `npm start` and of `npm test`. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../services/embedded/files.js'
import { resetServices } from '../services/embedded/index.js'
import { packageRoot } from '../services/package-root.js'
import { loadEnvironment } from '../services/process/environment.js'
import { reportFailure } from '../services/process/report.js'

await reportFailure('cannot reset', async () => {
  const { holdfastDirectory } = loadEnvironment()
  for (const folder of [holdfastDirectory, join(packageRoot(), '.holdfast', 'test')]) {
    if (await exists(folder)) await resetServices(folder)
  }
  await rm(join(holdfastDirectory, 'jwt-secret'), { force: true })
  console.log('holdfast: the data of the embedded services are wiped')
})

/** `npm run reset`: stops embedded services that nobody uses and wipes their data, those of `npm start` and of `npm test`. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../services/embedded/files.js'
import { resetServices } from '../services/embedded/index.js'
import { packageRoot } from '../services/package-root.js'

const directory = process.env.HOLDFAST_DIRECTORY ?? '.holdfast'
try {
  for (const folder of [directory, join(packageRoot(), '.holdfast', 'test')]) {
    if (await exists(folder)) await resetServices(folder)
  }
  await rm(join(directory, 'jwt-secret'), { force: true })
  console.log('holdfast: the data of the embedded services are wiped')
} catch (error) {
  console.error(`holdfast: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

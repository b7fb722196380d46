import { randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from './files.js'

/**
 * The password kept in a folder; made when there is none. A loopback port is open to every user of the machine, and whoever
 * commands Postgres or Redis can write files or run programs as the user who started it.
 */
export async function passwordIn (directory: string): Promise<string> {
  const file = join(directory, 'password')
  if (!await exists(file)) {
    await writeFile(`${file}.new`, randomBytes(18).toString('base64url'), { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
  return readFile(file, 'utf8')
}

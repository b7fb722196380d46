import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from './processes.js'

/** A random secret kept in a folder, so that every process started there, now or later, has the same one. 43 characters. */
export async function sharedSecret (directory: string, name: string): Promise<string> {
  const file = join(directory, name)
  const fresh = `${file}.${process.pid}`
  await mkdir(directory, { recursive: true })
  await writeFile(fresh, randomBytes(32).toString('base64url'), { mode: 0o600 })
  try {
    await link(fresh, file) // unlike rename it never replaces: of two processes at once one makes the secret
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  } finally {
    await rm(fresh)
  }
  return await readFile(file, 'utf8')
}

import { lstat } from 'node:fs/promises'
import { hasCode } from './processes.js'

/** Whether there is anything at this path; a symbolic link counts, wherever it points. */
export async function exists (path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../services/package-root.js'

/** Of a plugin's README.md: the cells of the table that follows `before`, without its head. */
export async function tablesOf (plugin: string): Promise<(before: string) => string[][]> {
  const readme = await readFile(join(packageRoot(), 'plugins', plugin, 'README.md'), 'utf8')
  return (before) => {
    const [, after = ''] = readme.split(before)
    const lines = after.slice(after.indexOf('|')).split('\n')
    return lines.slice(2, lines.findIndex((line) => !line.startsWith('|'))).map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))
  }
}

/** The same, without backticks. */
export async function plainTablesOf (plugin: string): Promise<(before: string) => string[][]> {
  const table = await tablesOf(plugin)
  return (before) => table(before).map((row) => row.map((cell) => cell.replaceAll('`', '')))
}

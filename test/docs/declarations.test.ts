import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../services/package-root.js'

await t.test('no declaration that is published needs the types of redlock, which do not resolve', async (t) => {
  const dist = join(packageRoot(), 'dist')
  const files = (await readdir(dist, { recursive: true })).filter((file) => file.endsWith('.d.ts'))
  t.ok(files.includes(join('plugins', 'locks', 'index.d.ts')))
  for (const file of files) {
    const text = await readFile(join(dist, file), 'utf8')
    if (/['"]redlock['"]/.test(text)) t.fail(`${file} imports redlock`)
  }
})

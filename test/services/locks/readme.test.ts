import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../services/package-root.js'

const read = (path: string): string => readFileSync(join(packageRoot(), 'test/services/locks', path), 'utf8')

await t.test('every test that README.md cites is there', async (t) => {
  const cited = [...read('README.md').matchAll(/\| (\S+\.test\.ts) \| `(.+)` \|$/gm)]
  t.ok(cited.length > 40, `${cited.length} rows`)
  for (const [, file = '', title = ''] of cited) t.ok(read(file).includes(`await t.test('${title}`) || read(file).includes(`await t.test(\`${title}`), `${file}: ${title}`)
})

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { packageRoot } from '../../services/package-root.js'
import { storePromises } from '../../testing/index.js'

const page = await readFile(join(packageRoot(), 'docs', 'custom-store.md'), 'utf8')
const blocks = [...page.matchAll(/^```ts\n(?:\/\/ (\S+)\n)?([^]*?)^```$/gm)].map(([, name = 'with-tap.ts', code = '']) => ({ name, code }))
const tsc = join(packageRoot(), 'node_modules', 'typescript', 'bin', 'tsc')

/** Runs a program beside the files of the page, in a folder of the package, where `holdfast/…` is the package as built. Answers what it printed. */
async function run (t: Test, ...args: string[]): Promise<string> {
  const directory = await mkdtemp(join(packageRoot(), '.holdfast', 'custom-store-'))
  t.teardown(() => rm(directory, { recursive: true }))
  for (const { name, code } of blocks) await writeFile(join(directory, name), code)
  const env = { PATH: process.env.PATH } // the child is no part of this run
  return await promisify(execFile)(process.execPath, args, { cwd: directory, env }).then(({ stdout }) => stdout, (error: { stdout: string, stderr: string }) => error.stdout + error.stderr)
}

await t.test('the example keeps every promise, under node:test as the page runs it', async (t) => {
  const [, command = ''] = /^```sh\nnode (.*)\n```$/m.exec(page) ?? []
  const output = await run(t, ...command.split(' '))
  t.match(output, new RegExp(`^(#|ℹ) pass ${storePromises.length}$`, 'm'))
  t.match(output, /^(#|ℹ) fail 0$/m)
})

await t.test('the example keeps every promise, under tap', async (t) => {
  const output = await run(t, '--import', 'tsx', 'with-tap.ts')
  t.equal(output.match(/^ok /gm)?.length, storePromises.length)
  t.notMatch(output, /^not ok /m)
})

await t.test('the example compiles', async (t) => {
  const strict = ['--strict', '--noUncheckedIndexedAccess', '--erasableSyntaxOnly', '--verbatimModuleSyntax', '--allowImportingTsExtensions', '--skipLibCheck']
  t.equal(await run(t, tsc, '--noEmit', ...strict, '--target', 'es2022', '--module', 'nodenext', 'my-store.test.ts', 'with-tap.ts'), '')
})

await t.test('the table has every method of a store, and no other', async (t) => {
  const source = await readFile(join(packageRoot(), 'services', 'idempotency', 'store.ts'), 'utf8')
  const methods = [...source.matchAll(/^ {2}(\w+): \(/gm)].map(([, name]) => name)
  t.strictSame([...page.matchAll(/^\| `(\w+)\(/gm)].map(([, name]) => name), methods)
})

import { once } from 'node:events'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { withLock } from '../../../services/embedded/lock.js'
import { identify } from '../../../services/embedded/processes.js'
import { spawnScript, temporaryFolder } from './helper.js'

async function holder (t: Test, directory: string) {
  const child = spawnScript('hold.js', [directory])
  t.teardown(() => child.kill('SIGKILL'))
  if (child.stdout !== null) await once(child.stdout, 'data')
  return child
}

await t.test('a lock is free as soon as its holder was killed', async (t) => {
  const directory = await temporaryFolder(t)
  const child = await holder(t, directory)
  let entered = false
  const entry = withLock(directory, async () => { entered = true })
  await t.rejects(withLock(directory, async () => {}, AbortSignal.timeout(300)), { name: 'AbortError' }) // time for several looks at the lock
  t.equal(entered, false, 'held by the other process')
  child.kill('SIGKILL')
  await entry
  t.equal(entered, true)
})

await t.test('a lock whose work fails is released, and its folder stays small', async (t) => {
  const directory = await temporaryFolder(t)
  for (let i = 0; i < 5; i++) await t.rejects(withLock(directory, () => Promise.reject(new Error('no'))), { message: 'no' })
  await withLock(directory, async () => {})
  t.equal((await readdir(directory)).length, 2)
})

await t.test('many who take a dead holder\'s lock at once enter one after the other', async (t) => {
  const folder = await temporaryFolder(t)
  const [directory, counter] = [join(folder, 'lock'), join(folder, 'counter')]
  const child = await holder(t, directory)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await writeFile(counter, '0')
  await Promise.all(Array.from({ length: 20 }, () => withLock(directory, async () => {
    await writeFile(counter, String(Number(await readFile(counter, 'utf8')) + 1))
  })))
  t.equal(await readFile(counter, 'utf8'), '20')
})

await t.test('a process is told from a later one with the same pid', async (t) => {
  t.match(identify(process.pid), new RegExp(`^${process.pid}-\\w+$`))
  t.equal(identify(2 ** 22 + 1), '')
})

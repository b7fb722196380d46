import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { t } from 'tap'

/** Of one file: it hangs, and is killed. On a busy machine the longest takes 120 s, ms. */
const timeout = 300_000
/** They wait for a third of their time: two cores are busy with three. */
const atOnce = 3

export interface RunTestsOptions {
  /** Holds the compiled test files, at any depth. */
  directory: string
  /** Files and folders in it. Default: all. */
  only: readonly string[]
  env: Record<string, string>
}

/**
 * Runs each file in a process of its own, and prints what they say as TAP, or on a terminal as tap does. `tap run` would load its hooks for coverage and
 * TypeScript into each of them, which takes more time than most tests: 1.5 to 2 s of CPU a file.
 * @returns the exit code
 */
export async function runTests ({ directory, only, env }: RunTestsOptions): Promise<number> {
  const files = dealt(await find(directory, only))
  if (process.stdout.isTTY) await showOnTerminal()
  const ended = once(t, 'complete') as Promise<[{ ok: boolean }]>
  t.setTimeout(0)
  t.jobs = atOnce
  t.plan(files.length)
  endAt(['SIGINT', 'SIGTERM'])
  // tap tells the children by NODE_OPTIONS to load what `tap run` loads.
  const run = (file: string) => t.spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps', join(directory, file)], {
    name: file, buffered: true, timeout, env: { ...process.env, ...env, TAP_TIMEOUT: String(timeout / 1_000) }
  })
  const [{ ok }] = await Promise.race([ended, Promise.all(files.map(run)).then(() => ended)]) // those of a run that is interrupted never end
  return ok ? 0 : 1
}

/** Instead of TAP. Before the first word, which would go to stdout as it is. */
async function showOnTerminal (): Promise<void> {
  const { report } = await import('@tapjs/reporter')
  await report('base', t, { get: () => undefined } as unknown as Parameters<typeof report>[2]) // no option of `tap run` is set
}

/** Ends the files that run, and with them the run. */
function endAt (signals: readonly NodeJS.Signals[]): void {
  const running = new Set<ChildProcess>()
  t.on('spawn', (file: EventEmitter) => file.once('process', (child: ChildProcess) => {
    running.add(child)
    child.once('exit', () => running.delete(child))
  }))
  for (const signal of signals) {
    process.on(signal, () => {
      for (const child of running) child.kill(signal)
      t.endAll()
    })
  }
}

async function find (directory: string, only: readonly string[]): Promise<string[]> {
  const all = (await readdir(directory, { recursive: true })).filter((file) => file.endsWith('.test.js')).sort()
  for (const wanted of only) if (!all.some((file) => isIn(file, wanted))) throw new Error(`there is no test file ${wanted}`)
  return only.length === 0 ? all : all.filter((file) => only.some((wanted) => isIn(file, wanted)))
}

/** Neighbours in a folder want the same of the machine: files that run at once come from different ones. Two of the chaos tests beside each other took ten times as long as alone. */
function dealt (files: string[]): string[] {
  const hand = Math.ceil(files.length / atOnce)
  return files.map((file, index) => ({ file, turn: index % hand })).sort((a, b) => a.turn - b.turn).map(({ file }) => file)
}

const isIn = (file: string, wanted: string): boolean => file === wanted || file.startsWith(`${wanted}/`)

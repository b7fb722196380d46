import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { packageRoot } from '../../../services/package-root.js'

/** A program of a user who declares his jobs. What is marked must not compile. */
const program = (scheduler: string): string => `
import type { FastifyInstance } from 'fastify'
import type { ClientBase } from 'pg'
import type { Run } from '${scheduler}'

declare module '${scheduler}' {
  interface SchedulerJobs {
    'mail.send': { to: string }
    'report.daily': null
  }
}

export async function use (app: FastifyInstance, tx: ClientBase): Promise<void> {
  const { scheduler } = app
  scheduler.define({ name: 'mail.send', retries: 3 }, async ({ payload, signal }) => { await fetch(payload.to, { signal }) })
  scheduler.define({ name: 'report.daily', cron: '0 3 * * *', payload: null }, (run: Run<null>) => { run.progress(1) })
  await scheduler.enqueue(tx, 'mail.send', { to: 'ann' }, { dueAt: new Date() })
  await scheduler.forOwner('ann').upsert({ name: 'mail.send', every: 60_000, payload: { to: 'ann' } })
  await scheduler.trigger(await nameFromOutside())
  scheduler.define({ name: 'mail.sent' }, () => {}) // refused
  scheduler.define({ name: 'mail.send' }, ({ payload }) => payload.cc) // refused
  scheduler.define({ name: 'mail.send', every: 1_000, payload: { to: 1 } }, () => {}) // refused
  scheduler.define({ name: 'report.daily', every: '1d' }, () => {}) // refused
  await scheduler.enqueue(tx, 'mail.sent', { to: 'ann' }) // refused
  await scheduler.enqueue(tx, 'mail.send', { to: 1 }) // refused
  await scheduler.enqueue(tx, 'mail.send') // refused
  await scheduler.enqueue(tx, 'report.daily', { to: 'ann' }) // refused
  await scheduler.forOwner('ann').upsert({ name: 'mail.sent', every: 60_000 }) // refused
  await scheduler.forOwner('ann').upsert({ name: 'mail.send', every: 60_000, payload: { from: 'ann' } }) // refused
}

declare function nameFromOutside (): Promise<string>
`

/** With the settings that users have, and not those of this repository. */
const settings: ts.CompilerOptions = {
  noEmit: true, strict: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, types: ['node'], skipLibCheck: true
}

const host = ts.createCompilerHost(settings)
const parse = host.getSourceFile
const parsed = new Map<string, ts.SourceFile | undefined>()
/** The declarations of Node and Fastify are the same for both programs. */
host.getSourceFile = (name, ...rest) => {
  if (!parsed.has(name)) parsed.set(name, parse(name, ...rest))
  return parsed.get(name)
}

/** Lines of a file that do not compile. */
function refused (file: string): number[] {
  const source = ts.createProgram([file], settings, host)
  return ts.getPreEmitDiagnostics(source, source.getSourceFile(file)).map(({ file: where, start = 0 }) => (where?.getLineAndCharacterOfPosition(start).line ?? -1) + 1)
}

for (const [what, scheduler] of [['the package as it is published', 'holdfast/scheduler'], ['its sources', join(packageRoot(), 'plugins', 'scheduler', 'index.js')]] as const) {
  await t.test(`declared names and payloads compile with ${what}, and misspelt ones do not`, async (t) => {
    const directory = await mkdtemp(join(packageRoot(), '.holdfast', 'jobs-')) // in the package, which so can name itself
    t.teardown(() => rm(directory, { recursive: true }))
    const [text, file] = [program(scheduler), join(directory, 'jobs.ts')]
    await writeFile(file, text)
    t.strictSame(refused(file), text.split('\n').flatMap((line, index) => line.endsWith('// refused') ? [index + 1] : []))
  })
}

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { buildServer } from '../../server.js'
import { loadConfig } from '../../services/config/index.js'
import { packageRoot } from '../../services/package-root.js'
import { redisUrl, testDatabase, testPrefix, until } from '../helper.js'

export const jwtSecret = 'a secret that is only used in tests'
export const credentials = { email: 'test-ios@example.com', password: 'TestPassword123!' }
export const share = { url: 'https://www.reddit.com/r/programming/comments/test/' }

/** Environment of a server with a database and key prefix of its own. */
export async function testEnvironment (t: Test): Promise<Record<string, string>> {
  return {
    NODE_ENV: 'test',
    PORT: '0',
    LOG_LEVEL: 'silent',
    LOGIN_RATE_LIMIT: '1000',
    DATABASE_URL: await testDatabase(t),
    REDIS_URL: redisUrl(),
    JWT_SECRET: jwtSecret,
    HOLDFAST_PREFIX: testPrefix()
  }
}

/** The server in this process, not listening. */
export async function build (t: Test, changes: Record<string, string> = {}): Promise<FastifyInstance> {
  const { databaseUrl = '', redisUrl = '', ...config } = loadConfig({ ...await testEnvironment(t), ...changes })
  const app = await buildServer({ ...config, databaseUrl, redisUrl, jwtSecret })
  t.teardown(() => app.close())
  return app
}

export async function logIn (app: FastifyInstance, user = credentials): Promise<string> {
  const response = await app.inject({ method: 'POST', url: '/api/auth/login', payload: user })
  return `Bearer ${response.json<{ token: string }>().token}`
}

export interface ServerProcess {
  base: string
  child: ChildProcess
  output: () => string
}

/** `node dist/server.js` as a process of its own, once it listens. Killed at the end of the test if it is still there. */
export async function spawnServer (t: Test, env: Record<string, string>): Promise<ServerProcess> {
  const { child, output } = startServer(t, env)
  const base = await until('the server listens', () => {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${output()}`)
    return /API +(http:\/\/localhost:\d+)/.exec(output())?.[1]
  }, 60_000)
  return { base, child, output }
}

/** Runs the server, or another program, until it ends by itself. */
export const runServer = (t: Test, env: Record<string, string>): Promise<Ended> => runProgram(t, 'server.js', env)

export interface Ended {
  code: number | null
  output: string
}

/** @param file in dist */
export async function runProgram (t: Test, file: string, env: Record<string, string>): Promise<Ended> {
  const { child, output } = startProgram(t, file, env)
  const [code] = await once(child, 'close') as [number | null]
  return { code, output: output() }
}

/** The server as a process, from its first moment. Killed at the end of the test if it is still there. */
export const startServer = (t: Test, env: Record<string, string>): StartedProgram => startProgram(t, 'server.js', env)

interface StartedProgram {
  child: ChildProcess
  output: () => string
}

function startProgram (t: Test, file: string, env: Record<string, string>): StartedProgram {
  const cwd = mkdtempSync(join(tmpdir(), 'holdfast-server-'))
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [join(packageRoot(), 'dist', file)], { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => { text += chunk.toString() })
  child.stderr.on('data', (chunk: Buffer) => { text += chunk.toString() })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(cwd, { recursive: true })
    if (!t.passing()) t.comment(`a server said:\n${text}`)
  })
  return { child, output: () => text }
}

export async function logInAt (base: string): Promise<string> {
  const response = await fetch(`${base}/api/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(credentials) })
  return `Bearer ${(await response.json() as { token: string }).token}`
}

export async function postShare (base: string, authorization: string, key: string, body: unknown = share): Promise<Response> {
  return await fetch(`${base}/api/v1/shares`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key, authorization },
    body: JSON.stringify(body)
  })
}

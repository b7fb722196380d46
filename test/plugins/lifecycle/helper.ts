import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import lifecycle from '../../../plugins/lifecycle/index.js'
import type { LifecycleOptions } from '../../../plugins/lifecycle/index.js'
import { until } from '../../helper.js'

export interface AppSettings {
  options?: LifecycleOptions
  /** hang, fail, obey or end. */
  drains?: string[]
  /** Whether it is optional, by the name of what it does: hang or heal. */
  phases?: Record<string, boolean>
  /** A plugin's onClose hook never ends. */
  closeHangs?: boolean
  /** The phases are declared in an onReady hook. */
  late?: boolean
}

export interface AppProcess {
  child: ChildProcess
  base: () => string
  port: () => number
  /** What it has told, in order. */
  events: string[]
  /** Waits for an event. */
  told: (event: string) => Promise<true>
  /** Lines of its log with this message. */
  logged: (message: string) => Array<Record<string, unknown>>
  /** Its exit code, and how long after `since` it ended, ms. */
  exit: (since?: number) => Promise<{ code: number | null, after: number }>
}

/** app.ts as a process, from its first moment. Killed at the end of the test if it is still there. */
export function startApp (t: Test, { options = {}, drains = [], phases = {}, closeHangs = false, late = false }: AppSettings = {}): AppProcess {
  const { PATH = '', HOME = '' } = process.env
  const env = { PATH, HOME, OPTIONS: JSON.stringify(options), DRAINS: JSON.stringify(drains), PHASES: JSON.stringify(phases), CLOSE_HANGS: String(closeHangs), LATE: String(late) }
  const child = spawn(process.execPath, [new URL('app.js', import.meta.url).pathname], { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const events: string[] = []
  let [port, text] = [0, '']
  child.on('message', (message: { port?: number, begun?: string, event?: string }) => {
    port = message.port ?? port
    events.push(message.event ?? message.begun ?? 'listening')
  })
  child.stdout?.on('data', (chunk: Buffer) => { text += chunk.toString() })
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, at: performance.now() }))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
    if (!t.passing()) t.comment(`the process said:\n${text}`)
  })
  return {
    child,
    port: () => port,
    base: () => `http://127.0.0.1:${port}`,
    events,
    told: (event) => until(() => `${event} is told after ${events.join(', ')}`, () => events.includes(event), 20_000),
    logged: (message) => text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === message),
    async exit (since = 0) {
      const { code, at } = await exited
      return { code, after: at - since }
    }
  }
}

/** The same, once it listens. */
export async function spawnApp (t: Test, settings: AppSettings = {}): Promise<AppProcess> {
  const app = startApp(t, settings)
  await app.told('listening')
  return app
}

/** A client that has upgraded its connection and then stops for good: it answers nothing, and closes nothing. */
export async function freezeUpgraded (t: Test, port: number): Promise<void> {
  const program = `const socket = require('node:net').connect({ port: ${port}, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('connect', () => socket.write('GET /ws HTTP/1.1\\r\\nHost: a\\r\\nConnection: Upgrade\\r\\nUpgrade: raw\\r\\n\\r\\n'))
    socket.once('data', (data) => process.send(String(data)))`
  const client = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.teardown(() => { client.kill('SIGKILL') })
  const [answer] = await once(client, 'message') as [string]
  if (!answer.includes('101 Switching Protocols')) throw new Error(answer)
  client.kill('SIGSTOP')
}

/** A raw connection. It is ended with the test. */
export async function connectTo (t: Test, port: number, text = ''): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  t.teardown(() => { socket.destroy() })
  socket.on('error', () => {}) // the server may cut it off
  if (text !== '') socket.write(text)
  return socket
}

/** An application in this process, closed with the test. */
export async function build (t: Test, options: LifecycleOptions = {}): Promise<FastifyInstance> {
  const app = Fastify({ return503OnClosing: false, keepAliveTimeout: 72_000 })
  t.teardown(() => app.close())
  await app.register(lifecycle, options)
  return app
}

/** Its port. */
export async function listen (app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as net.AddressInfo).port
}

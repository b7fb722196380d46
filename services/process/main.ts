import type { FastifyInstance } from 'fastify'
import type { CompleteConfig, Config } from '../config/index.js'
import { announce } from './announce.js'
import { loadEnvironment } from './environment.js'
import { provideServices } from './provide-services.js'
import { reportFailure } from './report.js'

export interface ProcessOptions {
  signal: AbortSignal
  signals: true
  release: () => Promise<void>
}

export type BuildServer = (config: CompleteConfig, options: ProcessOptions) => Promise<FastifyInstance>

/** Runs the server as a process: environment, services, listening. Exit code 0 after a clean stop, 1 after a failed start or a forced stop. */
export async function main (buildServer: BuildServer): Promise<void> {
  await reportFailure('cannot start', async () => {
    const config = loadEnvironment()
    const app = await interruptible((signal) => build(buildServer, config, signal))
    await listen(app, config)
    if (config.env !== 'production') announce(app)
  })
}

/** A signal ends the start. The server hears the signals itself as soon as it has its lifecycle plugin, and alone once it is built. */
async function interruptible<T> (start: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const interrupt = (): void => { controller.abort(new Error('interrupted')) }
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  try {
    return await start(controller.signal)
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

/** The server releases the services when it is closed, also where it cannot be built. */
async function build (buildServer: BuildServer, config: Config, signal: AbortSignal): Promise<FastifyInstance> {
  const { config: complete, release } = await provideServices(config, signal)
  return await buildServer(complete, { signal, signals: true, release })
}

async function listen (app: FastifyInstance, { port, host }: Config): Promise<void> {
  try {
    await app.listen({ port, host })
  } catch (error) {
    await app.close()
    throw error
  }
}

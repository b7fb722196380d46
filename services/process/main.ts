import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import type { CompleteConfig, Config } from '../config/index.js'
import { announce } from './announce.js'
import { loadEnvironment } from './environment.js'
import { provideServices } from './provide-services.js'
import { reportFailure } from './report.js'

export type BuildServer = (config: CompleteConfig, options: { signal: AbortSignal }) => Promise<FastifyInstance>

/** Runs the server as a process: environment, services, listening, signals. Exit code 0 after a clean stop, 1 after a failed start or a forced stop. */
export async function main (buildServer: BuildServer): Promise<void> {
  const start = new AbortController()
  const interrupt = (): void => { start.abort(new Error('interrupted')) }
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  await reportFailure('cannot start', () => run(buildServer, start.signal))
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
}

async function run (buildServer: BuildServer, signal: AbortSignal): Promise<void> {
  const config = loadEnvironment()
  const services = await provideServices(config, signal)
  try {
    const app = await listen(await buildServer(services.config, { signal }), config, signal)
    // From here on close-with-grace hears the signals.
    closeWithGrace({ delay: config.shutdownTimeoutMs }, async ({ err }) => {
      if (err !== undefined) app.log.fatal({ err }, 'stopping after an uncaught error')
      await app.close()
      await services.release()
    })
    if (config.env !== 'production') announce(app)
  } catch (error) {
    await services.release()
    throw error
  }
}

/** A signal that came while the server was built ends it here: Fastify cannot be closed in the middle of `listen`. */
async function listen (app: FastifyInstance, { port, host }: Config, signal: AbortSignal): Promise<FastifyInstance> {
  try {
    signal.throwIfAborted()
    await app.listen({ port, host })
    signal.throwIfAborted()
    return app
  } catch (error) {
    await app.close()
    throw error
  }
}

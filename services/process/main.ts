import { existsSync } from 'node:fs'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { loadConfig } from '../config/index.js'
import type { CompleteConfig, Config } from '../config/index.js'
import { announce } from './announce.js'
import { provideServices } from './provide-services.js'

export type BuildServer = (config: CompleteConfig, options: { signal: AbortSignal }) => Promise<FastifyInstance>

/** Runs the server as a process: environment, services, listening, signals. Exit code 0 after a clean stop, 1 after a failed start or a forced stop. */
export async function main (buildServer: BuildServer): Promise<void> {
  const start = new AbortController()
  const interrupt = (): void => { start.abort(new Error('interrupted')) }
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  try {
    await run(buildServer, start.signal)
  } catch (error) {
    console.error(`holdfast: cannot start\n${describe(error)}`)
    process.exitCode = 1
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

async function run (buildServer: BuildServer, signal: AbortSignal): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env')
  const config = loadConfig(process.env)
  const services = await provideServices(config, signal)
  try {
    await listen(await buildServer(services.config, { signal }), config, services.release)
  } catch (error) {
    await services.release()
    throw error
  }
}

async function listen (app: FastifyInstance, config: Config, release: () => Promise<void>): Promise<void> {
  const grace = closeWithGrace({ delay: config.shutdownTimeoutMs }, async ({ err }) => {
    if (err !== undefined) app.log.fatal({ err }, 'stopping after an uncaught error')
    await app.close()
    await release()
  })
  try {
    await app.listen({ port: config.port, host: config.host })
    if (config.env !== 'production') announce(app)
  } catch (error) {
    grace.uninstall()
    await app.close()
    throw error
  }
}

function describe (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error && error.cause.message !== '' ? `${error.message}\n  because: ${error.cause.message}` : error.message
}

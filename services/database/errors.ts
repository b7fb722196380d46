/**
 * Which failures of Postgres pass by themselves. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 * and https://www.prisma.io/docs/orm/reference/error-reference
 */
const transientCodes = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'ENOTFOUND',
  '57P01', '57P02', '57P03', // admin shutdown, crash shutdown, cannot connect now (starting up)
  '25P03', '25P04', // idle-in-transaction and transaction timeout: the server ended the session
  '53300', // too many connections
  'P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2037',
  'ConnectionClosed', 'DatabaseNotReachable', 'SocketTimeout', 'TooManyConnections', // of @prisma/adapter-pg, in transactions
  'FST_CONCURRENCY_CIRCUIT_OPEN', 'FST_CONCURRENCY_TIMEOUT', 'FST_CONCURRENCY_CLOSED' // of the guard before Prisma, which leaves of an error its code
])

/** pg reports a connection that broke, or that could not be had or did not answer in time, by message only: brianc/node-postgres lib/client.js, pg-pool index.js */
const transientMessage = /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed|Query read timeout$)/

const permanentReasons: Record<string, string> = {
  '28P01': 'the password is wrong',
  28000: 'the user may not connect',
  '3D000': 'the database does not exist'
}

/** Yields an error, what it was caused by, and the parts of an AggregateError (Node's answer when every address of a host refuses). */
function * causes (error: unknown): Generator<{ code?: unknown, message?: unknown }> {
  const pending = [error]
  for (let seen = 0; pending.length > 0 && seen < 20; seen++) {
    const current = pending.shift()
    if (typeof current !== 'object' || current === null) continue
    yield current
    const { cause, errors, meta } = current as { cause?: unknown, errors?: unknown, meta?: { driverAdapterError?: unknown } }
    pending.push(cause, meta, meta?.driverAdapterError, ...(Array.isArray(errors) ? errors : []))
  }
}

function codeOf ({ code, ...rest }: { code?: unknown, originalCode?: unknown, kind?: unknown }): string {
  return String(code ?? rest.originalCode ?? rest.kind ?? '')
}

/** True when Postgres was out of reach, starting or stopping: the same call may succeed later. */
export function isTransient (error: unknown): boolean {
  for (const cause of causes(error)) {
    const code = codeOf(cause)
    if (transientCodes.has(code) || code.startsWith('08')) return true
    if (typeof cause.message === 'string' && transientMessage.test(cause.message)) return true
  }
  return false
}

/** True when the values are what Postgres refused (class 22, data exception): the same values will never pass. */
export function isDataError (error: unknown): boolean {
  for (const cause of causes(error)) {
    if (/^22[0-9A-Z]{3}$/.test(codeOf(cause))) return true
  }
  return false
}

/** True when another transaction was in the way, and nothing was done: at a level above READ COMMITTED the same statement may pass when it is repeated. */
export function isSerializationFailure (error: unknown): boolean {
  for (const cause of causes(error)) {
    if (['40001', 'P2034', 'TransactionWriteConflict'].includes(codeOf(cause))) return true
  }
  return false
}

/** True when Postgres does not know a table or a column, or allows us not to use it (class 42): no waiting mends it. */
export function isSchemaError (error: unknown): boolean {
  for (const cause of causes(error)) {
    if (/^42[0-9A-Z]{3}$/.test(codeOf(cause))) return true
  }
  return false
}

/** In the grammar of the options, that a boot with this database was refused. */
export function unusableDatabase (option: string, error: unknown): string {
  return `option \`${option}\` must lead to a database with the tables of Holdfast, which \`migrate\` of holdfast/migrations makes, got the error "${error instanceof Error ? error.message : String(error)}"`
}

/** In words, why connecting will never work, or null when it is not known to be permanent. */
export function permanentReason (error: unknown): string | null {
  for (const cause of causes(error)) {
    const reason = permanentReasons[codeOf(cause)]
    if (reason !== undefined) return reason
  }
  return null
}

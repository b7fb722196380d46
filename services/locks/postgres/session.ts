import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import pg from 'pg'
import type { Log } from '../../log.js'
import { FST_LOCKS_USAGE } from '../errors.js'
import { isHandedOn } from './pooler.js'
import * as sql from './sql.js'

export interface SessionOptions {
  /** To Postgres itself, not to a pooler: the locks belong to the session behind the connection. */
  connection: pg.ClientConfig
  /** How often Postgres is asked whether the session lives, ms. */
  heartbeat: number
  /** Wait for the connection, and for each answer, ms. */
  timeout: number
  log: Log
}

/** One session of Postgres, that is nobody else's, and ends with its connection. */
export interface Session {
  /** Known to the session itself: a statement that names another owner takes nothing. */
  readonly owner: string
  readonly pid: number
  /** Aborts once with the reason: every lock of the session is lost. */
  readonly ended: AbortSignal
  /** One statement at a time, in the order of the calls. */
  query: <Row>(statement: Statement, values: readonly unknown[]) => Promise<Row[]>
  onNotice: (listener: (payload: string) => void) => void
  end: (reason: Error) => void
  /** The process may end before it. */
  unref: () => void
  close: () => Promise<void>
}

export interface Statement {
  /** Prepared under this name. */
  name?: string
  text: string
}

/**
 * The server finds a dead client later than a client finds a dead server (heartbeat and timeout: 7 s by default), so that nobody is granted what
 * somebody still believes to have: 10 + 3 · 5 s. No statement waits for a row longer than its answer is waited for.
 */
function settingsOf (timeout: number): Record<string, string> {
  return {
    tcp_keepalives_idle: '10',
    tcp_keepalives_interval: '5',
    tcp_keepalives_count: '3',
    tcp_user_timeout: '25000',
    idle_session_timeout: '0',
    statement_timeout: '0',
    transaction_timeout: '0', // would end the session
    lock_timeout: String(Math.ceil(timeout / 2)),
    client_connection_check_interval: '1000'
  }
}

/** @throws FST_LOCKS_USAGE when the session would be shared with others. */
export async function openSession (options: SessionOptions): Promise<Session> {
  const { connection, timeout, log } = options
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: timeout, keepAlive: true, keepAliveInitialDelayMillis: 10_000 })
  const ended = new AbortController()
  const end = (reason: Error): void => {
    if (ended.signal.aborted) return
    ended.abort(reason)
    disconnect(client, timeout).catch((err: unknown) => { log.warn({ err }, 'the connection of the locks did not end well') })
  }
  client.on('error', end).on('end', () => { end(new Error('the connection of the locks ended')) })
  const query = inTurn(client, { timeout, ended: ended.signal, end })
  try {
    await client.connect()
    const { owner, pid } = await prepare(client, query, options)
    const stopBeating = beat(query, { ...options, owner, end, ended: ended.signal })
    return {
      owner,
      pid,
      ended: ended.signal,
      query,
      onNotice: (listener) => { client.on('notification', ({ payload = '' }) => { listener(payload) }) },
      end,
      unref () { (client.connection.stream as Socket).unref() },
      async close () {
        stopBeating()
        if (!ended.signal.aborted) ended.abort(new Error('the locks were closed'))
        await disconnect(client, timeout)
      }
    }
  } catch (error) {
    end(error as Error)
    throw error
  }
}

/** A server that cannot be reached any more does not answer the goodbye. */
async function disconnect (client: pg.Client, timeout: number): Promise<void> {
  const timer = setTimeout(() => { client.connection.stream.destroy() }, timeout)
  await client.end().finally(() => { clearTimeout(timer) })
}

type Query = Session['query']

/**
 * pg gives up waiting for an answer that may come, and would then take it for that of the next statement: a client that was late once is ended.
 * An event loop that stood still finds its timers before its answers: only the second timer counts.
 */
function inTurn (client: pg.Client, { timeout, ended, end }: { timeout: number, ended: AbortSignal, end: (reason: Error) => void }): Query {
  let last: Promise<unknown> = Promise.resolve()
  const ask = async <Row>(statement: Statement, values: readonly unknown[]): Promise<Row[]> => {
    ended.throwIfAborted()
    const late = (): void => { end(new Error(`Postgres did not answer for ${timeout} ms`)) }
    let timer = setTimeout(() => { timer = setTimeout(late, timeout / 10) }, timeout * 0.9)
    try {
      return (await client.query({ ...statement, values: [...values] })).rows as Row[]
    } finally {
      clearTimeout(timer)
    }
  }
  return (statement, values) => {
    const answer = last.then(() => ask<never>(statement, values))
    last = answer.catch(() => {}) // the caller has it
    return answer
  }
}

async function prepare (client: pg.Client, query: Query, { connection, timeout }: SessionOptions): Promise<{ owner: string, pid: number }> {
  const owner = randomUUID()
  const [row] = await query<{ pid: number }>({ text: sql.sign }, [owner])
  const pid = row?.pid ?? 0
  const isMine = async (): Promise<boolean> => await owns(query, owner)
  // A pooler gives its clients pids of its own.
  if ((client as unknown as { processID: number }).processID !== pid && await isHandedOn({ connection, timeout, owner, isMine })) throw handedOn()
  const settings = settingsOf(timeout)
  await query({ text: sql.configure }, [Object.keys(settings), Object.values(settings)])
  await query({ text: 'LISTEN holdfast_locks' }, [])
  await query({ text: sql.forget }, [])
  return { owner, pid }
}

export function handedOn (): Error {
  return new FST_LOCKS_USAGE('session locks need a connection that stays theirs, and a pooler in transaction mode is in between: set the option `directUrl` to Postgres itself')
}

async function owns (query: Query, owner: string): Promise<boolean> {
  const [row] = await query<{ mine: boolean }>({ text: sql.beat }, [owner])
  return row?.mine === true
}

/** A connection may be dead without a word. */
function beat (query: Query, { owner, heartbeat, end, ended }: SessionOptions & { owner: string, end: (reason: Error) => void, ended: AbortSignal }): () => void {
  const look = async (): Promise<void> => {
    if (!await owns(query, owner)) end(handedOn())
  }
  const timer = setInterval(() => { look().catch(end) }, heartbeat).unref()
  const stop = (): void => { clearInterval(timer) }
  ended.addEventListener('abort', stop, { once: true })
  return stop
}

import { notUnderstood } from './redis-value.js'
import { codes } from './redis-scripts.js'

/** What an operation's answer means. */
export interface Kind<T> {
  /** The answer when the batch tells no exception for the operation. */
  fine: T
  exception: (code: number, text: string) => T
}

/** Executes the operations in order. `answers`: what the script answers, with `null` when Redis has another generation. */
export type Send = (keys: string[], argv: string[]) => Promise<unknown>

/** @param retention ms, 0 for an operation that needs none */
export type Run = <T>(kind: Kind<T>, key: string, argument: string, retention: number) => Promise<T>

interface Pending {
  kind: Kind<unknown>
  resolve: (value: unknown) => void
  reject: (reason: unknown) => void
}

/** Redis serves nobody else while it executes a batch: 256 operations take it about 0.5 ms. */
const mostOperations = 256
/** Characters. */
const mostText = 1_048_576

/** How long calls gather for an answer that does not come, ms: a Redis that is frozen must not keep the next batch from noticing it by itself. */
const shortly = 1

/**
 * The calls of one turn of the event loop leave together, as one batch unless they are very many. Those that come while a batch is on its way gather
 * until it is answered: with 64 connections that makes batches of 35 operations instead of 20, and a first request 5 to 7 % cheaper.
 */
export function createBatches (send: Send, most = mostOperations, patience = shortly): Run {
  let keys: string[] = []
  let argv: string[] = []
  let pending: Pending[] = []
  let text = 0
  let retained = 0
  let underWay = 0
  let gathering: NodeJS.Timeout | undefined

  const flush = (): void => {
    clearTimeout(gathering)
    if (pending.length === 0) return
    const waiting = pending
    underWay++
    send(keys, argv).finally(answered).then((answer) => { settle(waiting, answer) }).catch((error: unknown) => { for (const { reject } of waiting) reject(error) })
    keys = []
    argv = []
    pending = []
    text = 0
    retained = 0
  }
  const answered = (): void => {
    underWay--
    if (pending.length > 0) setImmediate(flush)
  }
  return (kind, key, argument, retention) => new Promise((resolve, reject) => {
    keys.push(key)
    if (retention !== retained && retention !== 0) {
      argv.push(`=${retention}`)
      retained = retention
    }
    argv.push(argument)
    pending.push({ kind, resolve: resolve as (value: unknown) => void, reject })
    text += argument.length
    if (pending.length >= most || text >= mostText) flush()
    else if (pending.length === 1 && underWay === 0) setImmediate(flush)
    else if (pending.length === 1) gathering = setTimeout(flush, patience)
  })
}

function settle (pending: Pending[], answer: unknown): void {
  if (!Array.isArray(answer)) throw new TypeError('the batch script gave an answer of an unknown form')
  let at = 0
  pending.forEach((operation, index) => {
    if (answer[at] !== index) return operation.resolve(operation.kind.fine)
    settleException(operation, answer[at + 1], answer[at + 2])
    at += 3
  })
}

function settleException ({ kind, resolve, reject }: Pending, code: unknown, text: unknown): void {
  try {
    if (typeof code !== 'number' || typeof text !== 'string' || code === codes.unknown) throw notUnderstood()
    if (code === codes.failed) throw new Error(text)
    resolve(kind.exception(code, text))
  } catch (error) {
    reject(error)
  }
}

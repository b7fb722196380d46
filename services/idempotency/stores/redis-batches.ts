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

/** The calls of one turn of the event loop leave together, as one batch unless they are very many. */
export function createBatches (send: Send, most = mostOperations): Run {
  let keys: string[] = []
  let argv: string[] = []
  let pending: Pending[] = []
  let text = 0
  let retained = 0

  const flush = (): void => {
    if (pending.length === 0) return
    const waiting = pending
    send(keys, argv).then((answer) => { settle(waiting, answer) }).catch((error: unknown) => { for (const { reject } of waiting) reject(error) })
    keys = []
    argv = []
    pending = []
    text = 0
    retained = 0
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
    else if (pending.length === 1) setImmediate(flush)
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

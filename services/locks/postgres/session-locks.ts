import type { Log } from '../../log.js'
import type { Attempt, Hold } from '../backend.js'
import { keysOf } from './key.js'
import { handedOn } from './session.js'
import type { Session } from './session.js'
import * as sql from './sql.js'
import { createWaiters } from './waiters.js'
import type { Waiters } from './waiters.js'

/** The locks of one session. */
export interface SessionLocks {
  session: Session
  attempt: (names: readonly string[]) => Promise<Attempt>
  subscribe: (names: readonly string[], wake: () => void) => Promise<() => void>
  /** Closes the session, or leaves that to the last lock that is held: the connection does not keep the process alive. */
  close: () => Promise<void>
}

export interface SessionLocksDeps {
  session: Session
  namespace: string
  log: Log
}

interface Claim {
  keys: readonly string[]
  lost: AbortController
  /** Until it is answered. */
  asked: Promise<unknown> | null
}

interface Context extends SessionLocksDeps {
  /** In front of the session, to whom Postgres grants a second time what it has: keys that are held, and those that are being asked for. */
  taken: Map<string, Claim>
  waiters: Waiters
  onEmpty: () => void
}

export function createSessionLocks (deps: SessionLocksDeps): SessionLocks {
  const { session, namespace, log } = deps
  const context: Context = { ...deps, taken: new Map(), waiters: createWaiters(session, log), onEmpty () {} }
  session.onNotice((payload) => { hear(context, payload) })
  session.ended.addEventListener('abort', () => {
    for (const { lost } of context.taken.values()) lost.abort(session.ended.reason)
  }, { once: true })
  return {
    session,
    attempt: (names) => attempt(context, keysOf(namespace, names)),
    subscribe: (names, wake) => context.waiters.add([...keysOf(namespace, names).keys()], wake),
    async close () {
      if (context.taken.size === 0) return await session.close()
      session.unref()
      context.onEmpty = () => { session.close().catch((err: unknown) => { log.warn({ err }, 'the connection of the locks did not end well') }) }
    }
  }
}

/** `free <key>`, or `revoke <pid> <key>` for the one who holds it. */
function hear ({ session, taken, waiters }: Context, payload: string): void {
  const [verb, ...words] = payload.split(' ')
  if (verb === 'free') waiters.wake(words[0] ?? '')
  if (verb === 'revoke' && words[0] === String(session.pid)) taken.get(words[1] ?? '')?.lost.abort(new Error('an administrator took the lock away'))
}

async function attempt (context: Context, names: Map<string, string>): Promise<Attempt> {
  const { taken } = context
  const keys = [...names.keys()]
  for (let other = openAsk(taken, keys); other !== null; other = openAsk(taken, keys)) await other
  if (keys.some((key) => taken.has(key))) return { outcome: 'busy' }
  const asked = ask(context, names)
  const claim: Claim = { keys, lost: new AbortController(), asked }
  for (const key of keys) taken.set(key, claim)
  const verdict = await asked
  claim.asked = null
  if (typeof verdict === 'bigint') return { outcome: 'granted', hold: createHold(context, claim, verdict) }
  for (const key of keys) taken.delete(key)
  if (verdict === 'moved') throw handedOn()
  return verdict
}

/** Who asks for other names besides may be refused because of them: the keys would be free then, and nobody is told. */
function openAsk (taken: ReadonlyMap<string, Claim>, keys: readonly string[]): Promise<unknown> | null {
  for (const key of keys) {
    const claim = taken.get(key)
    if (claim?.keys.some((other) => !keys.includes(other)) === true && claim.asked !== null) return claim.asked
  }
  return null
}

/** The token of a grant. */
async function ask ({ session }: Context, names: Map<string, string>): Promise<bigint | 'moved' | Exclude<Attempt, { outcome: 'granted' }>> {
  const keys = [...names.keys()]
  try {
    const [row] = await session.query<{ granted: boolean | null, token: string | null }>({ name: 'take', text: sql.take }, [session.owner, keys, [...names.values()]])
    if (row?.granted === true && row.token !== null) return BigInt(row.token)
    if (row?.granted === false) return { outcome: 'busy' }
    session.end(handedOn())
    return 'moved'
  } catch (cause) {
    // The locks of a statement that failed stay.
    if (!session.ended.aborted) await session.query({ text: sql.undo }, [keys]).catch((error: Error) => { session.end(error) })
    return { outcome: 'unavailable', cause }
  }
}

function createHold (context: Context, claim: Claim, token: bigint): Hold {
  const { lost } = claim
  let released: Promise<boolean> | undefined
  const release = (): Promise<boolean> => (released ??= giveBack(context, claim))
  // Taken away by an administrator, who waits for it.
  const onLost = (): void => {
    release().catch((err: unknown) => { context.log.debug({ err }, 'a lost lock was not given back') })
  }
  if (lost.signal.aborted) onLost()
  else lost.signal.addEventListener('abort', onLost, { once: true })
  return {
    token,
    validUntil: () => lost.signal.aborted ? 0 : Infinity,
    lost: lost.signal,
    release: async () => {
      const wasLost = lost.signal.aborted
      return await release() && !wasLost
    }
  }
}

/** Never twice, and in this process nobody else asks before the answer: the session would not tell the two apart. */
async function giveBack (context: Context, claim: Claim): Promise<boolean> {
  const { session, taken, waiters, log } = context
  const { keys } = claim
  try {
    if (session.ended.aborted) return false
    const [row] = await session.query<{ done: boolean }>({ name: 'giveBack', text: sql.giveBack }, [session.owner, keys])
    if (row?.done === true) return true
    const reason = new Error('Postgres says that a lock was not the session\'s')
    log.error({ err: reason, keys }, 'the locks of a session are not what they should be, it is ended')
    session.end(reason)
    return false
  } finally {
    for (const key of keys) {
      if (taken.get(key) === claim) taken.delete(key)
      waiters.wake(key)
    }
    if (taken.size === 0) context.onEmpty()
  }
}

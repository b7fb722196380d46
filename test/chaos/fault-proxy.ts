import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** `up` is from the client to the server. */
export type Direction = 'up' | 'down'

/** A TCP proxy on loopback that spoils what passes. Faults hold until `heal`, for connections of then and of later. */
export interface FaultProxy {
  /** The target's URL with the proxy's port. */
  url: string
  connections: () => number
  /** Every chunk arrives `ms` later, in order. */
  delay: (ms: number, direction?: Direction) => void
  /** Nothing passes. `heal` delivers what was held, as TCP would send it again: also what a client sent that has given up since. */
  blackHole: (direction?: Direction) => void
  /** The connections of now are dead without a word to either end, for ever: as behind a router that has forgotten them. */
  halfOpen: () => void
  /** New connections are reset at once. */
  refuse: () => void
  /** All connections of now are reset. */
  resetAll: () => void
  /** Resets the connection in which the first chunk appears that `matches`; the chunk itself is lost. */
  resetOn: (direction: Direction, matches: (chunk: Buffer) => boolean) => void
  heal: () => void
  close: () => Promise<void>
}

interface Pair {
  client: Socket
  server: Socket
  dead: boolean
}

interface Fault {
  latency: number
  /** Resolves when the black hole is over; null when there is none. */
  hole: Promise<void> | null
  resetOn: ((chunk: Buffer) => boolean) | null
}

const noFault = (): Fault => ({ latency: 0, hole: null, resetOn: null })

interface State {
  faults: Record<Direction, Fault>
  pairs: Set<Pair>
  refusing: boolean
  /** Ends the black holes of now. */
  endHole: () => void
}

/** Closed with the test. */
export async function faultProxy (t: Test, target: string): Promise<FaultProxy> {
  const state: State = { faults: { up: noFault(), down: noFault() }, pairs: new Set(), refusing: false, endHole () {} }
  const { hostname, port } = new URL(target)
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {}) // 'close' follows
    if (state.refusing) client.resetAndDestroy()
    else tie({ client, server: connect({ port: Number(port), host: hostname, allowHalfOpen: true }), dead: false }, state)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    resetAll(state)
    heal(state)
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  t.teardown(close)
  return { ...controls(state), url: Object.assign(new URL(target), { port: String((server.address() as AddressInfo).port) }).href, close }
}

function tie (pair: Pair, { faults, pairs }: State): void {
  const { client, server } = pair
  pairs.add(pair)
  const forget = (): void => { if (client.closed && server.closed) pairs.delete(pair) }
  for (const socket of [client, server]) socket.on('close', forget)
  pass(pair, 'up', faults)
  pass(pair, 'down', faults)
}

function controls (state: State): Omit<FaultProxy, 'url' | 'close'> {
  const { faults, pairs } = state
  const each = (direction: Direction | undefined, change: (fault: Fault) => void): void => {
    for (const fault of direction === undefined ? [faults.up, faults.down] : [faults[direction]]) change(fault)
  }
  return {
    connections: () => pairs.size,
    delay: (ms, direction) => each(direction, (fault) => { fault.latency = ms }),
    blackHole (direction) {
      const hole = new Promise<void>((resolve) => {
        const endEarlier = state.endHole
        state.endHole = () => { endEarlier(); resolve() }
      })
      each(direction, (fault) => { fault.hole = hole })
    },
    halfOpen () { for (const pair of pairs) pair.dead = true },
    refuse () { state.refusing = true },
    resetAll: () => { resetAll(state) },
    resetOn (direction, matches) { faults[direction].resetOn = matches },
    heal: () => { heal(state) }
  }
}

function resetAll ({ pairs }: State): void {
  for (const pair of pairs) reset(pair)
}

function heal (state: State): void {
  state.refusing = false
  for (const direction of ['up', 'down'] as const) Object.assign(state.faults[direction], noFault())
  state.endHole()
}

/** Node 20 never closes a socket that is reset while its end is under way (EINVAL), and the process then spins. */
function reset ({ client, server }: Pair): void {
  for (const socket of [client, server]) {
    if (socket.writableEnded) socket.destroy()
    else socket.resetAndDestroy()
  }
}

/** Copies one direction. Once a chunk was held back, all that follow queue behind it, the end too. */
function pass (pair: Pair, direction: Direction, faults: Record<Direction, Fault>): void {
  const [from, to] = direction === 'up' ? [pair.client, pair.server] : [pair.server, pair.client]
  const fault = faults[direction]
  let queue: Promise<void> = Promise.resolve()
  let queued = 0
  const inOrder = (deliver: () => void): void => {
    const { latency, hole } = fault
    if (queued === 0 && latency === 0 && hole === null) return deliver()
    const due = Promise.all([sleep(latency), hole]) // the sleep is the latency itself
    queued++
    queue = queue.then(() => due).then(() => { queued--; if (!pair.dead) deliver() })
  }
  from.setNoDelay()
  from.on('data', (chunk: Buffer) => {
    if (pair.dead) return
    if (fault.resetOn?.(chunk)) {
      fault.resetOn = null
      return reset(pair)
    }
    inOrder(() => { if (!to.destroyed) to.write(chunk) })
  })
  from.on('end', () => { if (!pair.dead) inOrder(() => { to.end() }) })
  from.on('error', () => {}) // 'close' follows
  from.on('close', () => { if (!pair.dead) inOrder(() => { to.destroySoon() }) })
}

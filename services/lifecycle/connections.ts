import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** How often idle connections are closed while the server drains, ms. */
const sweepInterval = 100

/** The part of a Fastify request that is needed. */
export interface RunningRequest {
  id: string
  method: string
  routeOptions: { url?: string | undefined }
}

export interface Connections {
  /** A request is running until its response is over. */
  enter: (request: RunningRequest, response: ServerResponse) => void
  /** From now on idle connections are closed, upgraded ones after `upgradeGrace`. */
  drain: () => void
  /** Resolves when no request is running. */
  answered: () => Promise<void>
  /** Ends every connection. */
  cut: () => void
  /** For the log: never a URL, which may hold secrets. */
  running: () => Array<{ id: string, method: string, route: string, duration: number }>
  close: () => void
}

/** The connections and requests of a server. @param upgradeGrace ms */
export function createConnections (server: Server, upgradeGrace: number): Connections {
  const requests = new Map<ServerResponse, { request: RunningRequest, since: number }>()
  const sockets = trackSockets(server)
  let sweeper: NodeJS.Timeout | undefined
  let allAnswered = (): void => {}

  return {
    enter (request, response) {
      if (response.closed) return // its client went while an earlier hook waited: nothing tells so again
      requests.set(response, { request, since: performance.now() })
      response.once('close', () => { if (requests.delete(response) && requests.size === 0) allAnswered() })
    },
    drain () {
      const start = performance.now()
      sweeper = setInterval(() => {
        sockets.sweep()
        if (performance.now() - start >= upgradeGrace) sockets.endUpgraded()
      }, sweepInterval).unref()
    },
    answered: () => requests.size === 0 ? Promise.resolve() : new Promise((resolve) => { allAnswered = resolve }),
    cut () {
      sockets.endAll()
      for (const response of requests.keys()) response.destroy() // Fastify's further servers of `localhost` are not ours to see
    },
    running: () => [...requests.values()].map(({ request: { id, method, routeOptions: { url = 'unknown' } }, since }) => ({ id, method, route: url, duration: performance.now() - since })),
    close () { clearInterval(sweeper) }
  }
}

interface Sockets {
  sweep: () => void
  endUpgraded: () => void
  endAll: () => void
}

function trackSockets (server: Server): Sockets {
  const open = new Set<Socket>()
  const upgraded = new Set<Socket>()
  let seenSilent = new Set<Socket>()
  const follow = (sockets: Set<Socket>) => (socket: Socket): void => {
    sockets.add(socket)
    socket.once('close', () => { sockets.delete(socket) })
  }
  const end = (sockets: Iterable<Socket>): void => { for (const socket of sockets) socket.destroy() }
  server.on('connection', follow(open))
  const followUpgraded = follow(upgraded)
  whereHandled(server, (_request, socket) => { followUpgraded(socket) })
  return {
    sweep () {
      server.closeIdleConnections?.()
      // Those that have not sent a byte are not idle to Node. What was just accepted may be about to.
      const silent = [...open].filter(({ bytesRead }) => bytesRead === 0)
      end(silent.filter((socket) => seenSilent.has(socket)))
      seenSilent = new Set(silent)
    },
    endUpgraded () { end(upgraded) },
    endAll () {
      server.closeAllConnections?.()
      end(open)
      end(upgraded)
    }
  }
}

/** Listens for upgrades, only where somebody else does: without any listener Node answers such a request like every other. */
function whereHandled (server: Server, listener: (request: IncomingMessage, socket: Socket) => void): void {
  for (const event of ['upgrade', 'connect']) {
    if (server.listenerCount(event) > 0) server.on(event, listener)
    else server.on('newListener', listen)
    function listen (added: string): void {
      if (added !== event) return
      server.off('newListener', listen)
      server.on(event, listener)
    }
  }
}

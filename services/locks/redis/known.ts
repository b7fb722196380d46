import type { Cluster, Redis } from 'ioredis'
import { isCluster } from '../../redis/connection.js'
import type { Script } from './scripts.js'

/** Whether the server at the other end knows a script by the time that the next command arrives. Who is told no sends it. */
export type IsKnown = (script: Script) => boolean

/** At the other end of a new connection there may be another server, or one that has restarted. In a Cluster, where nobody knows which one answers, every one is asked. */
export function createKnown (connection: Redis | Cluster): IsKnown {
  if (isCluster(connection)) return () => true
  const sent = new Set<Script>()
  let stream: Redis['stream'] | undefined
  return (script) => {
    if (stream !== connection.stream) sent.clear()
    stream = connection.stream
    if (sent.has(script)) return true
    if (connection.status === 'ready') sent.add(script)
    return false
  }
}

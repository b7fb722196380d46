import { until } from '../helper.js'

/** Requests that go on until they are told to stop. */
export interface Load<T> {
  results: T[]
  /** Waits until there are so many results. */
  reach: (count: number) => Promise<void>
  /** Ends the load and returns all results. */
  stop: () => Promise<T[]>
}

/** Keeps `width` of them under way. `send` gets their number. */
export function loadOf<T> (width: number, send: (index: number) => Promise<T>): Load<T> {
  const results: T[] = []
  const stopped = new AbortController()
  let sent = 0
  const running = Promise.all(Array.from({ length: width }, async () => {
    while (!stopped.signal.aborted) results.push(await send(sent++))
  }))
  return {
    results,
    async reach (count) { await until(`${count} results of the load`, () => results.length >= count, 60_000) },
    async stop () {
      stopped.abort()
      await running
      return results
    }
  }
}

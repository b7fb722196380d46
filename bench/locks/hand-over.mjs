import { setTimeout as sleep } from 'node:timers/promises'
import { median, verdict } from '../report.mjs'

const atMost = 3

/** From the call of `release` in one process to the grant in another one, which waits. When it comes is random: redlock looks every 200 ms. */
export async function measureHandOver (pairs, { handOvers }) {
  const times = { holdfast: [], redlock: [] }
  for (let count = 0; count < handOvers; count++) {
    for (const [kind, [holder, waiter]] of Object.entries(pairs)) {
      await holder.ask('hold')
      const taken = waiter.ask('take')
      await sleep(50 + Math.random() * 400)
      const releasedAt = await holder.ask('release')
      times[kind].push(await taken - releasedAt)
    }
    if ((count + 1) % 20 === 0) console.error(`hand-over ${count + 1}/${handOvers}  ${median(times.holdfast).toFixed(2)} ms; redlock ${median(times.redlock).toFixed(0)} ms`)
  }
  const p50 = median(times.holdfast)
  return [
    ['hand-over between two processes, p50', `≤ ${atMost} ms`, `${p50.toFixed(2)} ms (redlock ${median(times.redlock).toFixed(0)} ms)`, verdict(p50 <= atMost)],
    ['hand-over between two processes, p99', '', `${highest(times.holdfast).toFixed(1)} ms (redlock ${highest(times.redlock).toFixed(0)} ms)`, '']
  ]
}

function highest (times) {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1]
}

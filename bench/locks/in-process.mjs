import { median, verdict } from '../report.mjs'

const runs = 100_000
const atLeast = 0.8

/** AsyncLock, which has keys, deadlines and signals, beside the mutex that it is made of. */
export async function measureInProcess (session, { rounds }) {
  const worker = session.start('locks/in-process-worker.mjs')
  const rows = []
  for (const parallel of [1, 32]) {
    const ratios = []
    for (let round = 0; round <= rounds; round++) {
      const rates = {}
      for (const kind of round % 2 === 0 ? ['ours', 'theirs'] : ['theirs', 'ours']) rates[kind] = await worker.ask('measure', { kind, parallel, runs })
      if (round > 0) ratios.push(rates.ours / rates.theirs) // the first one compiles
    }
    const middle = median(ratios)
    rows.push([`AsyncLock / async-mutex, ${parallel === 1 ? 'nobody waits' : `${parallel} want the same`}`, `≥ ${atLeast}`, middle.toFixed(2), verdict(middle >= atLeast)])
  }
  return rows
}

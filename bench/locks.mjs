import { measureHandOver } from './locks/hand-over.mjs'
import { measureInProcess } from './locks/in-process.mjs'
import { measureMany } from './locks/many.mjs'
import { measureTransaction } from './locks/transaction.mjs'
import { measureUncontended } from './locks/uncontended.mjs'
import { readOptions } from './options.mjs'
import { removeKeys } from './redis.mjs'
import { align, environment } from './report.mjs'
import { runBenchmark } from './session.mjs'

await runBenchmark(async (session) => {
  const options = readOptions({ rounds: 9, duration: 1, 'hand-overs': 100, names: 10_000 })
  session.defer(() => removeKeys(session.redis, session.prefix))
  const pairs = {}
  for (const kind of ['holdfast', 'redlock']) pairs[kind] = [await startWorker(session, kind), await startWorker(session, kind)]
  const [holdfast] = pairs.holdfast
  const rows = [
    ...await measureUncontended({ holdfast, redlock: pairs.redlock[0] }, session, options),
    ...await measureHandOver(pairs, { handOvers: options['hand-overs'] }),
    ...await measureMany(holdfast, options),
    ...await measureTransaction(session, options),
    ...await measureInProcess(session, options)
  ]
  for (const worker of Object.values(pairs).flat()) await worker.ask('end')
  console.log(['', ...await environment(session), `${options.rounds} rounds of ${options.duration} s, medians of the ratios of single rounds; ${options['hand-overs']} hand-overs`, '', align([['what', 'target', 'measured', ''], ...rows])].join('\n'))
})

async function startWorker (session, kind) {
  const worker = session.start('locks/worker.mjs', ['--expose-gc'])
  await worker.ask('start', { kind, redisUrl: session.redisUrl, prefix: session.prefix })
  return worker
}

import { countCommands } from '../redis.mjs'
import { ratio, verdict, whole } from '../report.mjs'

const parallels = [1, 32]
const atLeast = 0.9

/** `using` of ours and redlock's acquire and release, each over names that nobody else wants. */
export async function measureUncontended ({ holdfast, redlock }, session, { rounds, duration }) {
  const results = parallels.map((parallel) => ({ parallel, holdfast: [], redlock: [] }))
  const commands = await countCommands(session.redis, `${session.prefix}:{locks}:once`, () => holdfast.ask('once'))
  for (let round = 0; round < rounds; round++) {
    for (const result of results) {
      // Who comes first alternates.
      for (const kind of round % 2 === 0 ? ['holdfast', 'redlock'] : ['redlock', 'holdfast']) {
        result[kind].push(await { holdfast, redlock }[kind].ask('measure', { parallel: result.parallel, ms: duration * 1_000 }))
      }
      const [ours, theirs] = [result.holdfast.at(-1), result.redlock.at(-1)]
      console.error(`round ${round + 1}/${rounds}  ${result.parallel} at a time  ${whole(ours.rate)} locks/s, ${ours.cpu.toFixed(1)} µs; redlock ${whole(theirs.rate)}, ${theirs.cpu.toFixed(1)} µs`)
    }
  }
  return [
    ...results.map(({ parallel, holdfast, redlock }) => {
      const rate = ratio(holdfast, redlock, 'rate')
      return [`\`using()\` / redlock acquire and release, ${parallel === 1 ? 'one after the other' : `${parallel} at a time`}`, `≥ ${atLeast}`, `${rate.toFixed(2)} (by CPU ${ratio(redlock, holdfast, 'cpu').toFixed(2)})`, verdict(rate >= atLeast)]
    }),
    ['Redis commands of one `using()`', '≤ 2', String(commands.sent), verdict(commands.sent <= 2)]
  ]
}

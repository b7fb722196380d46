import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { describePostgres } from './postgres.mjs'
import { describeRedis } from './redis.mjs'

/** @param results per variant: `variant`, `rounds` (in the order of all variants), `commands` */
export function table (results) {
  const bare = results.find(({ variant }) => variant.name === 'bare')
  const head = ['', 'req/s', 'lowest–highest', 'p50 ms', 'p99 ms', 'of bare', 'server CPU µs/req', 'client busy', 'Redis commands/req']
  return align([head, ...results.map((result) => row(result, bare))])
}

function row ({ variant, rounds, commands }, bare) {
  const rates = rounds.map(({ rate }) => rate)
  const middle = (name) => median(rounds.map((round) => round[name]))
  return [
    variant.title,
    whole(middle('rate')),
    `${whole(Math.min(...rates))}–${whole(Math.max(...rates))}`,
    middle('p50').toFixed(2),
    middle('p99').toFixed(2),
    ratio(rounds, bare.rounds, 'rate').toFixed(2),
    middle('cpu').toFixed(1),
    `${whole(middle('busy') * 100)} %`,
    commands.scripted === 0 ? `${commands.sent}` : `${commands.sent} (+ ${commands.scripted} in scripts)`
  ]
}

/** One row for each target whose two variants were measured. `by CPU`: the same ratio, had the server's own CPU time been all that counts. */
export function comparison (results, targets) {
  const roundsOf = (name) => results.find(({ variant }) => variant.name === name)?.rounds
  const rows = targets.flatMap(({ what, of, by, atLeast }) => {
    const [ours, others] = [roundsOf(of), roundsOf(by)]
    if (ours === undefined || others === undefined) return []
    const rate = ratio(ours, others, 'rate')
    const judged = atLeast === undefined ? ['', ''] : [`≥ ${atLeast}`, verdict(rate >= atLeast)]
    return [[what, judged[0], rate.toFixed(2), ratio(others, ours, 'cpu').toFixed(2), judged[1]]]
  })
  return align([['what', 'target', 'by req/s', 'by CPU', ''], ...rows])
}

export function verdict (isMet) {
  return isMet ? 'met' : 'not met'
}

/** Rounds stand beside each other in time, so they are compared one by one: what slows the machine for a while slows both. */
export function ratio (rounds, others, name) {
  return median(rounds.map((round, index) => round[name] / others[index][name]))
}

export async function environment ({ redis, postgres }) {
  const ours = lockedVersions('../package-lock.json', ['fastify', 'ioredis', 'pg', '@prisma/client', 'redlock', 'async-mutex', 'bullmq'])
  const theirs = lockedVersions('package-lock.json', ['@node-idempotency/core', '@node-idempotency/storage-adapter-redis', 'redis', 'autocannon'])
  return [
    `Node ${process.versions.node}, Redis ${await describeRedis(redis)}, Postgres ${await describePostgres(postgres)}, ${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), ${process.platform} ${process.arch}`,
    [...ours, ...theirs].join(', ')
  ]
}

function lockedVersions (file, names) {
  const { packages } = JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'))
  return names.map((name) => `${name} ${packages[`node_modules/${name}`].version}`)
}

export function median (values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function whole (value) {
  return Math.round(value).toLocaleString('en')
}

/** A Markdown table, aligned: it is read in a terminal and pasted into a README. */
export function align (rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const lines = rows.map((row) => `| ${row.map((cell, column) => column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])).join(' | ')} |`)
  const rule = `| ${widths.map((width, column) => column === 0 ? '-'.repeat(width) : '-'.repeat(width - 1) + ':').join(' | ')} |`
  return [lines[0], rule, ...lines.slice(1)].join('\n')
}

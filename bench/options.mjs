import { parseArgs } from 'node:util'

const counts = new Set(['rounds', 'connections', 'duplicates', 'records', 'requests', 'hand-overs', 'names', 'runs', 'schedules', 'upserts'])

/**
 * Reads the flags of a benchmark. Those of `numbers` have a default; those of `texts` have none and are null.
 * Throws a TypeError for a flag that is unknown or not a positive number.
 */
export function readOptions (numbers, texts = []) {
  const flags = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, { type: 'string', default: String(value) }]))
  const { values } = parseArgs({ args: process.argv.slice(2), options: { ...flags, ...Object.fromEntries(texts.map((name) => [name, { type: 'string' }])) } })
  return Object.fromEntries([
    ...Object.keys(numbers).map((name) => [name, positive(name, values[name])]),
    ...texts.map((name) => [name, values[name] ?? null])
  ])
}

function positive (name, text) {
  const value = Number(text)
  const isCount = counts.has(name)
  if (!(value > 0) || value === Infinity || (isCount && !Number.isInteger(value))) throw new TypeError(`--${name} must be a positive ${isCount ? 'integer' : 'number'}, got ${text}`)
  return value
}

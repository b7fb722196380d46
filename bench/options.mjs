import { parseArgs } from 'node:util'

const defaults = { rounds: 5, duration: 3, warmup: 1, connections: 64 }

/** Throws a TypeError for a flag that is unknown or not a positive number. */
export function readOptions (args) {
  const flags = Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, { type: 'string', default: String(value) }]))
  const { values } = parseArgs({ args, options: { ...flags, only: { type: 'string' }, profile: { type: 'string' } } })
  const numbers = Object.keys(defaults).map((name) => [name, positive(name, values[name])])
  return { ...Object.fromEntries(numbers), only: values.only?.split(',') ?? null, profile: values.profile ?? null }
}

function positive (name, text) {
  const value = Number(text)
  const isCount = name === 'rounds' || name === 'connections'
  if (!(value > 0) || value === Infinity || (isCount && !Number.isInteger(value))) throw new TypeError(`--${name} must be a positive ${isCount ? 'integer' : 'number'}, got ${text}`)
  return value
}

export interface Rule {
  expected: string
  accepts: (value: unknown) => boolean
}

export type Rules<T> = { [K in keyof T]-?: Rule }

export const positive = (unit: string): Rule => ({ expected: `a positive integer (${unit})`, accepts: (value) => isInteger(value) && value > 0 })
export const between = (low: number, high: number, unit: string): Rule =>
  ({ expected: `an integer from ${low} to ${high} (${unit})`, accepts: (value) => isInteger(value) && value >= low && value <= high })
export const range = (low: number, high: number, unit: string): Rule =>
  ({ expected: `a number from ${low} to ${high} (${unit})`, accepts: (value) => typeof value === 'number' && value >= low && value <= high })
/** ms. Longer ones make Node's timers fire at once. */
export const longestTimer = 2_147_483_647
export const timer = between(1, longestTimer, 'ms')
export const boolean: Rule = { expected: 'true or false', accepts: (value) => typeof value === 'boolean' }
export const fn: Rule = { expected: 'a function', accepts: (value) => typeof value === 'function' }
export const oneOf = (...values: string[]): Rule =>
  ({ expected: values.map((value) => `'${value}'`).join(' or '), accepts: (value) => typeof value === 'string' && values.includes(value) })
export const matching = (pattern: RegExp, expected: string): Rule => ({ expected, accepts: (value) => typeof value === 'string' && pattern.test(value) })
/** Where a plugin has its routes. */
export const routePath = matching(/^(\/[^\s?#/]+)*$/, 'a path such as `/status`, or an empty text')
/** Of Redis keys. */
export const keyPrefix = matching(/^[\w:.-]{1,64}$/, 'a string of 1 to 64 letters, digits, `_`, `:`, `.` or `-`')
/** Not one of another library, which has `duplicate` too. */
export const isRedisClient = (value: unknown): value is object => isObject(value) && 'duplicate' in value && 'defineCommand' in value
/** A pg.Pool, or anything with its `query`, or a Prisma client. */
export const isPostgresClient = (value: unknown): value is object => isObject(value) && ('query' in value || '$queryRawUnsafe' in value)
export const abortSignal: Rule = { expected: 'an AbortSignal', accepts: (value) => value instanceof AbortSignal }
export const listOf = (rule: Rule): Rule => ({ expected: `an array, each item ${rule.expected}`, accepts: (value) => Array.isArray(value) && value.every(rule.accepts) })
export const either = (...rules: Rule[]): Rule =>
  ({ expected: rules.map(({ expected }) => expected).join(' or '), accepts: (value) => rules.some((rule) => rule.accepts(value)) })

/**
 * Describes the first option that is unknown or wrong, in one grammar: which one, what is expected, what it got. Absent ones (undefined) pass.
 *
 *     option `lease` must be a positive integer (ms), got `-1` (number)
 */
export function invalidOption (options: object, rules: Record<string, Rule>, where = ''): string | null {
  for (const [name, value] of Object.entries(options)) {
    const rule = rules[name]
    if (rule === undefined) return `option \`${where}${name}\` is not known, expected one of ${Object.keys(rules).join(', ')}`
    if (value !== undefined && !rule.accepts(value)) return `option \`${where}${name}\` must be ${rule.expected}, got ${show(value)}`
  }
  return null
}

/** Without what may be secret: the password in a URL, and what is in objects. */
export function show (value: unknown): string {
  if (typeof value === 'string') return `'${withoutPassword(value)}' (string)`
  if (Array.isArray(value)) return `${showItems(value)} (array)`
  if (typeof value === 'object' && value !== null) return 'an object'
  return `\`${String(value)}\` (${typeof value})`
}

function showItems (items: unknown[]): string {
  return JSON.stringify(items.map((item) => typeof item === 'object' && item !== null ? 'an object' : typeof item === 'string' ? withoutPassword(item) : item))
}

const withoutPassword = (text: string): string => text.replace(/\/\/[^/]*@/g, '//***@')

export function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isInteger (value: unknown): value is number {
  return Number.isSafeInteger(value)
}

import { Value } from 'typebox/value'
import { environment, type Config } from './environment.js'
import { unknownVariables } from './unknown.js'

type Variable = (typeof environment)[number]

/** The environment is wrong. The message has one line for each problem; no secret is in it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor (problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/** An empty text counts as unset: that is how Compose files and CI systems pass a variable they have no value for. */
const textOf = (env: NodeJS.ProcessEnv, name: string): string | undefined => env[name] || undefined

const valueOf = ({ name, alias, parse, default: fallback }: Variable, env: NodeJS.ProcessEnv): unknown => {
  const text = textOf(env, name) ?? (alias === undefined ? undefined : textOf(env, alias))
  return text === undefined ? fallback : parse(text)
}

const problemOf = (variable: Variable, env: NodeJS.ProcessEnv): string | undefined => {
  const { name, schema, expected, required, show } = variable
  const text = textOf(env, name)
  if (text !== undefined) {
    return Value.Check(schema, variable.parse(text)) ? undefined : `option \`${name}\` must be ${expected}, got ${show(text)}`
  }
  if (required !== undefined && required === env.NODE_ENV) {
    return `option \`${name}\` is required when NODE_ENV is \`${required}\`, got nothing`
  }
}

/** Two names with two values: which one was meant nobody can tell. */
const contradictionOf = ({ name, alias = '', show }: Variable, env: NodeJS.ProcessEnv): string | undefined => {
  const [text, other] = [textOf(env, name), textOf(env, alias)]
  if (text === undefined || other === undefined || text === other) return undefined
  return `option \`${alias}\` is another name of \`${name}\` and must agree with it, got ${show(other)} and ${show(text)}`
}

/**
 * Reads and checks the whole environment at once.
 *
 * @returns a frozen object; durations are in the unit that the name of the variable says, `jwtExpiresIn` in seconds
 * @throws {ConfigError} naming every wrong, missing and unknown variable
 */
export const loadConfig = (env: NodeJS.ProcessEnv): Config => {
  const known = environment.map(({ name }) => name)
  const problems = [problemOf, contradictionOf].flatMap((check) => environment.map((variable) => check(variable, env))).filter((problem) => problem !== undefined)
  problems.push(...unknownVariables(env, known))
  if (problems.length > 0) throw new ConfigError(problems)
  // Every value has passed the schema that its type in Config is derived from.
  return Object.freeze(Object.fromEntries(environment.map((variable) => [variable.key, valueOf(variable, env)]))) as Config
}

import { isIP } from 'node:net'
import { Type, type TSchema } from 'typebox'

/** How the text of a variable becomes a value, and how both are spoken of. */
export interface Kind<Schema extends TSchema = TSchema> {
  readonly schema: Schema
  /** completes the sentence "must be …" */
  readonly expected: string
  readonly secret: boolean
  /** Text that is not of this kind is returned as it is: the schema refuses it. */
  readonly parse: (text: string) => unknown
  /** How a refused text is shown in an error; nothing confidential may come out. */
  readonly show: (text: string) => string
}

const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** The text in backticks: on one line whatever it holds, and cut after 100 characters. */
export const quote = (text: string): string => {
  const line = text.slice(0, 100).replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, escape)
  return `\`${line}${text.length > 100 ? '…' : ''}\``
}

const showLength = (text: string): string => `${text.length} characters`

/**
 * A URL without its user info, query and fragment. A text that is no URL may hold a password anywhere (`host=db
 * password=x`, or an unescaped `/` in it): of that only the scheme and the length are shown.
 */
const maskUrl = (text: string): string => {
  const scheme = /^[a-z][a-z\d+.-]*:\/\//i.exec(text)?.[0]
  if (scheme === undefined || !URL.canParse(text)) return `${quote(`${scheme ?? ''}***`)} (${showLength(text)})`
  const at = text.lastIndexOf('@')
  const rest = at === -1 ? text.slice(scheme.length) : `***@${text.slice(at + 1)}`
  return quote(scheme + rest.replace(/[?#].*$/s, '?***'))
}

const plain = { secret: false, parse: (text: string): unknown => text, show: quote }

/** Decimal digits only: `Number` would also take `1e3`, `0x10`, `+1` and surrounding white space. */
export const integer = (minimum: number, maximum: number) => ({
  ...plain,
  schema: Type.Integer({ minimum, maximum }),
  expected: `an integer from ${minimum} to ${maximum}`,
  parse: (text: string): unknown => /^(?:0|[1-9]\d*)$/.test(text) ? Number(text) : text
})

export const boolean = () => ({
  ...plain,
  schema: Type.Boolean(),
  expected: '`true` or `false`',
  parse: (text: string): unknown => text === 'true' || (text === 'false' ? false : text)
})

export const oneOf = <Values extends string[]>(...values: Values) => ({
  ...plain,
  schema: Type.Enum<Values>(values),
  expected: `one of ${values.map(quote).join(', ')}`
})

export const text = (pattern: string, expected: string) => ({ ...plain, schema: Type.String({ pattern }), expected })

/** A name or an address without a port. Names of Docker Compose may have underscores. */
export const host = () => ({
  ...plain,
  schema: Type.Refine(Type.String(), (text) => isIP(text) !== 0 || /^[A-Za-z0-9._-]{1,253}$/.test(text)),
  expected: 'a host name or an IP address'
})

export const secret = (minLength: number) => ({
  ...plain,
  schema: Type.String({ minLength }),
  expected: `at least ${minLength} characters long`,
  secret: true,
  show: showLength
})

/** What can be sent as `Authorization: Bearer …`. */
export const bearerToken = (minLength: number) => ({
  ...secret(minLength),
  schema: Type.String({ pattern: `^[!-~]{${minLength},}$` }),
  expected: `at least ${minLength} visible ASCII characters`
})

const isUrl = (text: string, schemes: readonly string[]): boolean =>
  schemes.some((scheme) => text.startsWith(scheme)) && URL.canParse(text) && hasServer(new URL(text))

/** node-postgres takes the folder of a Unix socket as `?host=`; without either, clients silently try localhost. */
const hasServer = (url: URL): boolean => url.hostname !== '' || Boolean(url.searchParams.get('host'))

export const url = (...schemes: string[]) => ({
  ...plain,
  schema: Type.Refine(Type.String(), (text) => isUrl(text, schemes)),
  expected: `a URL that starts with ${schemes.map(quote).join(' or ')} and names a host`,
  secret: true,
  show: maskUrl
})

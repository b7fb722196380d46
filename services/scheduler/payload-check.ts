import { Compile } from 'typebox/schema'

/** Null when a payload fits, else what does not, as a list of `/path message`. */
export type PayloadCheck = (payload: unknown) => string | null

const shown = 5

/** @param schema a JSON Schema, or what TypeBox makes. Nothing is coerced, added or removed. */
export function payloadCheck (schema: object): PayloadCheck {
  const validator = Compile(schema)
  return (payload) => {
    if (validator.Check(payload)) return null
    const [, errors] = validator.Errors(payload)
    return errors.slice(0, shown).map(({ instancePath, message }) => `${instancePath === '' ? '/' : instancePath} ${message}`).join('; ')
  }
}

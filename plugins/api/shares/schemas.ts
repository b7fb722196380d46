import Type from 'typebox'

export const NewShareBody = Type.Object({ url: Type.String({ minLength: 1, maxLength: 2_048 }) }, { additionalProperties: false })

// Not `format: 'uuid'`, which takes `urn:uuid:…` too.
export const ShareParams = Type.Object({ id: Type.String({ pattern: '^[\\da-fA-F]{8}(-[\\da-fA-F]{4}){3}-[\\da-fA-F]{12}$' }) })

export const ShareBody = Type.Object({
  id: Type.String({ format: 'uuid' }),
  url: Type.String(),
  canonicalUrl: Type.String({ description: 'The URL without tracking parameters and fragment' }),
  platform: Type.String({ description: 'reddit, tiktok, youtube, instagram, x or web' }),
  createdAt: Type.String({ format: 'date-time' })
})

export const PageQuery = Type.Object({
  // Text, because nothing is coerced: `limit=1e1` and `limit=0x10` are mistakes.
  limit: Type.String({ pattern: '^([1-9][0-9]?|100)$', default: '20', description: '1 to 100' }),
  cursor: Type.Optional(Type.String({ maxLength: 64, description: '`nextCursor` of the page before' }))
}, { additionalProperties: false })

export const PageBody = Type.Object({ items: Type.Array(ShareBody), nextCursor: Type.Union([Type.String(), Type.Null()]) })

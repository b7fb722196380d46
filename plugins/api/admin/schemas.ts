import Type from 'typebox'

const percent = { minimum: 0, maximum: 100, description: 'of the users; a higher one only adds some' }

export const FlagChangeBody = Type.Object({
  enabled: Type.Optional(Type.Boolean()),
  rolloutPercent: Type.Optional(Type.Integer(percent)),
  revision: Type.Optional(Type.Integer({ minimum: 0, description: 'The one that you have seen: 409 if it is another by now' }))
}, { additionalProperties: false, anyOf: [{ required: ['enabled'] }, { required: ['rolloutPercent'] }] })

export const FlagBody = Type.Object({
  enabled: Type.Boolean(),
  rolloutPercent: Type.Integer(percent),
  revision: Type.Integer({ description: '0 while the environment\'s values hold' }),
  updatedAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()])
})

import createError from '@fastify/error'

/** Errors of the reference application. Explained in docs/problems and in the table of README.md. */
export const FST_API_HOST_MISSING = createError('FST_API_HOST_MISSING', 'The request has no Host header', 400)
export const FST_API_JSON_TOO_DEEP = createError<[number]>('FST_API_JSON_TOO_DEEP', 'The body is nested deeper than %d levels', 400)
export const FST_API_JSON_NOT_UTF8 = createError('FST_API_JSON_NOT_UTF8', 'The body is not valid UTF-8', 400)
export const FST_API_CURSOR_INVALID = createError('FST_API_CURSOR_INVALID', 'The cursor is not one that this API returned', 400)
export const FST_API_URL_INVALID = createError<[string]>('FST_API_URL_INVALID', 'The URL %s', 400)
export const FST_API_CREDENTIALS_INVALID = createError('FST_API_CREDENTIALS_INVALID', 'The e-mail address or the password is wrong', 401)
export const FST_API_TOKEN_INVALID = createError<[string, { cause: unknown }?]>('FST_API_TOKEN_INVALID', 'A valid bearer token is needed: %s', 401)
export const FST_API_ADMIN_TOKEN_INVALID = createError('FST_API_ADMIN_TOKEN_INVALID', 'The admin API wants ADMIN_TOKEN as its bearer token', 401)
export const FST_API_USER_UNKNOWN = createError('FST_API_USER_UNKNOWN', 'The user of this token does not exist any more', 401)
export const FST_API_SHARE_NOT_FOUND = createError('FST_API_SHARE_NOT_FOUND', 'There is no such share', 404)
export const FST_API_JOB_UNKNOWN = createError<[string]>('FST_API_JOB_UNKNOWN', 'There is no job %s', 404)
export const FST_API_ROUTE_NOT_FOUND = createError<[string]>('FST_API_ROUTE_NOT_FOUND', 'There is nothing at %s', 404)
export const FST_API_METHOD_NOT_ALLOWED = createError<[string, string]>('FST_API_METHOD_NOT_ALLOWED', '%s is not possible here, only %s', 405)
export const FST_API_FLAG_CHANGED = createError('FST_API_FLAG_CHANGED', 'Somebody else changed the flag: it has another revision by now', 409)
export const FST_API_ENCODING_UNSUPPORTED = createError('FST_API_ENCODING_UNSUPPORTED', 'Only JSON in UTF-8 without a content encoding is read', 415)
export const FST_API_DATABASE_UNAVAILABLE = createError('FST_API_DATABASE_UNAVAILABLE', 'The database cannot be reached now: repeat the request later', 503)

const groups = /^(.{8})(.{4})(7.{3})([89ab].{3})(.{12})$/

/** Opaque to clients: the id of the last share of a page. Ids are UUIDs of version 7, which sort by time. */
export function encodeCursor (id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
}

/** The id, or null for what `encodeCursor` does not return. */
export function decodeCursor (cursor: string): string | null {
  const bytes = Buffer.from(cursor, 'base64url')
  if (bytes.length !== 16 || bytes.toString('base64url') !== cursor) return null
  const hex = bytes.toString('hex')
  return groups.test(hex) ? hex.replace(groups, '$1-$2-$3-$4-$5') : null
}

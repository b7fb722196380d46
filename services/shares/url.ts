import { parse } from 'tldts'
import { platformOf, type Platform } from './platform.js'

/** `reason` completes the sentence "the URL …". */
export type ShareUrl =
  | { readonly ok: true, readonly url: string, readonly canonicalUrl: string, readonly platform: Platform }
  | { readonly ok: false, readonly reason: string }

const maxLength = 2_048

/**
 * The URL parser strips or maps these, so that what is shown and what is requested differ: white space, control
 * characters, lone surrogates, marks that turn the direction of the text, and the backslash, which it reads as a slash.
 */
const misleading = /[\s\p{Cc}\p{Cs}\p{Bidi_Control}\\]/u

/** Names of the public suffix list that no public server has: https://www.iana.org/assignments/special-use-domain-names */
const specialUse = /(?:^|\.)(?:onion|arpa)$/

const label = /^[a-z0-9_-]{1,63}$/

const trackers: ReadonlySet<string> = new Set([
  'fbclid', 'gclid', 'gbraid', 'wbraid', 'dclid', 'msclkid', 'twclid', 'ttclid', 'yclid', 'li_fat_id', 'rdt_cid',
  'igsh', 'igshid', 'mc_cid', 'mc_eid', '_ga', '_gl', 'ref_src', 'ref_url', '_hsenc', '_hsmi', 'mkt_tok', 'oly_enc_id',
  'vero_id', 'wickedid'
])

/** Too short or too common to drop elsewhere: `t` is a time on YouTube, `s` a search on many sites. */
const platformTrackers: Readonly<Record<Platform, ReadonlySet<string>>> = {
  reddit: new Set(['share_id']),
  tiktok: new Set(['_r', '_t', 'is_copy_url', 'is_from_webapp', 'sender_device', 'sender_web_id']),
  youtube: new Set(['feature', 'si']),
  instagram: new Set(),
  x: new Set(['s', 't']),
  web: new Set()
}

/** The name as a server decodes it. The `&` keeps a leading `?` in the name, which URLSearchParams would strip. */
const nameOf = (parameter: string): string => [...new URLSearchParams(`&${parameter}`).keys()][0]?.toLowerCase() ?? ''

const isTracker = (parameter: string, platform: Platform): boolean => {
  const name = nameOf(parameter)
  return name.startsWith('utm_') || trackers.has(name) || platformTrackers[platform].has(name)
}

/** Filters the raw text: writing through URLSearchParams would encode the remaining parameters anew (`%20` to `+`). */
const withoutTrackers = (search: string, platform: Platform): string => {
  const query = search.slice(1).split('&').filter((parameter) => !isTracker(parameter, platform)).join('&')
  return query === '' ? '' : `?${query}`
}

const problemOfText = (input: string): string | undefined => {
  if (input.length > maxLength) return `must have at most ${maxLength} characters`
  if (misleading.test(input)) return 'must not contain white space, control characters or backslashes'
  if (!/^https?:\/\/[^/?#]/i.test(input)) return 'must start with http:// or https:// and a host name'
  if (/^[^/]+\/\/[^/?#]*@/.test(input)) return 'must not contain a user name or a password'
  if (!URL.canParse(input)) return 'must have a valid host name and port'
}

const problemOfHost = (host: string): string | undefined => {
  const { isIp, isIcann, domain } = parse(host)
  if (isIp) return 'must name its host, not give an IP address'
  if (host.length > 253 || !host.split('.').every((part) => label.test(part))) return 'must have a valid host name and port'
  if (!isIcann || domain === null || specialUse.test(host)) return 'must have a public host name'
}

/**
 * Checks a link that a user shares and finds the form under which two shares of one page are equal. `canonicalUrl` is
 * what the URL standard serialises (lower-case host in Punycode, no default port, path kept) without the root dot of the
 * host, fragment and tracking parameters; the other parameters keep their order and bytes. `url` is the input, unchanged.
 *
 * A public name may still resolve to a private address: whoever fetches the URL must check the address it connects to.
 *
 * @see https://url.spec.whatwg.org
 */
export const parseShareUrl = (input: string): ShareUrl => {
  const textProblem = problemOfText(input)
  if (textProblem !== undefined) return { ok: false, reason: textProblem }
  const { protocol, hostname, port, pathname, search } = new URL(input)
  const host = hostname.replace(/\.$/, '')
  const hostProblem = problemOfHost(host)
  if (hostProblem !== undefined) return { ok: false, reason: hostProblem }
  const platform = platformOf(host)
  const authority = port === '' ? host : `${host}:${port}`
  const canonicalUrl = `${protocol}//${authority}${pathname}${withoutTrackers(search, platform)}`
  return { ok: true, url: input, canonicalUrl, platform }
}

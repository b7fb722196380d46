import { getDomain } from 'tldts'

export type Platform = 'reddit' | 'tiktok' | 'youtube' | 'instagram' | 'x' | 'web'

const platforms: ReadonlyMap<string, Platform> = new Map([
  ['reddit.com', 'reddit'],
  ['redd.it', 'reddit'],
  ['tiktok.com', 'tiktok'],
  ['youtube.com', 'youtube'],
  ['youtu.be', 'youtube'],
  ['youtube-nocookie.com', 'youtube'],
  ['instagram.com', 'instagram'],
  ['instagr.am', 'instagram'],
  ['x.com', 'x'],
  ['twitter.com', 'x'],
  ['t.co', 'x']
])

/**
 * The platform a host name belongs to, subdomains included. Decided by the registrable domain (https://publicsuffix.org),
 * so that `reddit.com.evil.org` and `notreddit.com` are `web`.
 */
export const platformOf = (host: string): Platform => platforms.get(getDomain(host) ?? '') ?? 'web'

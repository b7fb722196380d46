import t from 'tap'
import { platformOf } from '../../../services/shares/platform.js'
import { parseShareUrl } from '../../../services/shares/url.js'

const canonical = (input: string): string => {
  const result = parseShareUrl(input)
  return result.ok ? result.canonicalUrl : `refused: ${result.reason}`
}

const reasonOf = (input: string): string => {
  const result = parseShareUrl(input)
  return result.ok ? `accepted as ${result.canonicalUrl}` : result.reason
}

/** A test name with a line separator in it would break the TAP stream. */
const printable = (input: string): string =>
  input.slice(0, 80).replace(/[^!-~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

await t.test('an accepted URL is returned unchanged beside its canonical form and platform', async (t) => {
  const url = 'HTTPS://WWW.Reddit.com:443/r/node/?share_id=1&a=%20b#top'
  t.strictSame(parseShareUrl(url), { ok: true, url, canonicalUrl: 'https://www.reddit.com/r/node/?a=%20b', platform: 'reddit' })
})

await t.test('the canonical form changes only what does not matter', async (t) => {
  const forms: Record<string, string> = {
    'https://example.com': 'https://example.com/',
    'http://example.com:80/': 'http://example.com/',
    'http://example.com:443/': 'http://example.com:443/',
    'https://example.com:/a': 'https://example.com/a',
    'https://example.com:8443/a': 'https://example.com:8443/a',
    'https://EXAMPLE.com./a': 'https://example.com/a',
    'https://example.com.:8443/a': 'https://example.com:8443/a',
    'https://münchen.de/ä': 'https://xn--mnchen-3ya.de/%C3%A4',
    'https://ＥＸＡＭＰＬＥ。com/': 'https://example.com/',
    'https://example%2Ecom/': 'https://example.com/',
    'https://my_site.example.co.uk/': 'https://my_site.example.co.uk/',
    'https://foo.github.io/': 'https://foo.github.io/',
    'https://example.com/a//b/%7E/%2f/': 'https://example.com/a//b/%7E/%2f/',
    'https://example.com/a/../b': 'https://example.com/b',
    'https://example.com/@user:x@y': 'https://example.com/@user:x@y',
    'https://example.com?': 'https://example.com/',
    'https://example.com/#?utm_source=x': 'https://example.com/'
  }
  for (const [input, expected] of Object.entries(forms)) t.equal(canonical(input), expected, input)
})

await t.test('remaining parameters keep their order and bytes', async (t) => {
  const queries: Record<string, string> = {
    '?b=2&a=1&b=1': '?b=2&a=1&b=1',
    '?q=a+b%20c%2B&x=%zz&y=~*\'"': '?q=a+b%20c%2B&x=%zz&y=~*%27%22',
    '?utm_source=s&q=a+b%20c&x=%zz&flag&e=&&z=1=2': '?q=a+b%20c&x=%zz&flag&e=&&z=1=2',
    '?flag': '?flag',
    '?a=1&UTM_Campaign=x&b=2': '?a=1&b=2',
    '?%75tm_source=x&a=1': '?a=1',
    '?utm_source=x': '',
    '?utm_source=x&gclid=y&fbclid': '',
    '??utm_source=x': '??utm_source=x',
    '?a=utm_source&my_utm_source=1&utm=1': '?a=utm_source&my_utm_source=1&utm=1',
    '?__proto__=1&constructor=2': '?__proto__=1&constructor=2',
    '?u=https://a.com/?utm_source%3Dx': '?u=https://a.com/?utm_source%3Dx',
    '?a=1;utm_source=x': '?a=1;utm_source=x'
  }
  for (const [query, expected] of Object.entries(queries)) {
    t.equal(canonical(`https://example.com/p${query}`), `https://example.com/p${expected}`, query)
  }
})

await t.test('every tracking parameter is dropped', async (t) => {
  const names = ['utm_source', 'utm_id', 'fbclid', 'gclid', 'gbraid', 'wbraid', 'dclid', 'msclkid', 'twclid', 'ttclid', 'igsh', 'igshid', 'rdt_cid',
    'mc_cid', 'mc_eid', 'yclid', '_ga', 'ref_src', 'ref_url', '_hsenc', '_hsmi', 'mkt_tok', 'oly_enc_id', 'vero_id', 'wickedid', 'li_fat_id']
  for (const name of names) t.equal(canonical(`https://example.com/?a=1&${name}=x&b=2`), 'https://example.com/?a=1&b=2', name)
})

await t.test('parameters of a platform are dropped on that platform alone', async (t) => {
  const cases: Array<[host: string, kept: string]> = [
    ['example.com', '?si=1&s=2&t=3&share_id=4&_t=5&feature=6'],
    ['youtu.be', '?s=2&t=3&share_id=4&_t=5'],
    ['music.youtube.com', '?s=2&t=3&share_id=4&_t=5'],
    ['x.com', '?si=1&share_id=4&_t=5&feature=6'],
    ['mobile.twitter.com', '?si=1&share_id=4&_t=5&feature=6'],
    ['old.reddit.com', '?si=1&s=2&t=3&_t=5&feature=6'],
    ['vm.tiktok.com', '?si=1&s=2&t=3&share_id=4&feature=6'],
    ['x.com.example.com', '?si=1&s=2&t=3&share_id=4&_t=5&feature=6']
  ]
  for (const [host, kept] of cases) {
    t.equal(canonical(`https://${host}/a?si=1&s=2&t=3&share_id=4&_t=5&feature=6`), `https://${host}/a${kept}`, host)
  }
})

await t.test('the canonical form of a canonical form is itself', async (t) => {
  for (const input of ['https://EXAMPLE.com.:443/a b'.replace(' ', '%20'), 'https://münchen.de/ä?ö=ü&utm_source=1', 'http://x.com:8080//?s=1&q=%']) {
    const once = canonical(input)
    t.equal(canonical(once), once, input)
  }
})

await t.test('a URL that is not one of a public web page is refused with a reason', async (t) => {
  const reasons: Record<string, string[]> = {
    'must not contain white space, control characters or backslashes': [
      ' https://example.com', 'https://example.com ', 'https://example.com\n', '\thttps://example.com', 'https://exa\tmple.com', 'ht\ntps://example.com',
      'https://example.com/a b', 'https://example.com/\u0000', 'https://example.com/\u007f', 'https://example.com/\u0085', 'https://example.com/\u00a0',
      'https://example.com/\u2028', '\ufeffhttps://example.com', 'https://example.com\\@evil.org', 'https:\\\\example.com', 'https://example.com/\ud800',
      'https://example.com/\u202egpj.exe', 'https://example.com/\u2066'
    ],
    'must start with http:// or https:// and a host name': [
      '', 'example.com', 'www.example.com/a', '//example.com', 'ftp://example.com', 'javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd',
      'https:example.com', 'https:/example.com', 'https:///example.com', 'https://', 'https://?x', 'https://#x', 'blob:https://example.com/1',
      'view-source:https://example.com', 'x-https://example.com', 'mailto:a@example.com'
    ],
    'must not contain a user name or a password': [
      'https://user@example.com', 'https://user:pass@example.com', 'https://@example.com', 'https://:@example.com', 'https://example.com@evil.org/',
      'https://example.com:443@evil.org', 'https://a@b@example.com'
    ],
    'must name its host, not give an IP address': [
      'http://127.0.0.1', 'http://8.8.8.8', 'http://127.0.0.1.', 'http://2130706433', 'http://0x7f000001', 'http://0x7f.1', 'http://0177.0.0.1', 'http://127.1',
      'http://0', 'http://①②⑦.0.0.1', 'http://%31%32%37.0.0.1', 'http://127。0。0。1', 'http://[::1]', 'http://[::ffff:127.0.0.1]', 'http://[fe80::1]:8080/',
      'http://169.254.169.254/latest/meta-data', 'http://0x7f.0.0.0x1'
    ],
    'must have a valid host name and port': [
      'https://example.com:99999', 'https://example.com:x', 'https://exa%20mple.com', 'https://[::1', 'https://[::1%25eth0]', 'https://256.256.256.256',
      'https://1.2.3.4.5', 'https://example.com..', 'https://example..com', 'https://.example.com', 'https://.', 'https://a;b.example.com',
      'https://a\'b.example.com', 'https://a,b.com', `https://${'a'.repeat(64)}.com`, `https://${'a.'.repeat(126)}com`, 'https://exa|mple.com', 'https://xn--a.com'
    ],
    'must have a public host name': [
      'http://localhost', 'http://localhost.', 'http://LOCALHOST:3001', 'http://a.localhost', 'http://intranet', 'https://com', 'https://co.uk', 'https://com.',
      'http://printer.local', 'http://metadata.google.internal', 'http://a.test', 'http://a.example', 'http://a.invalid', 'http://a.onion', 'http://b.a.onion.',
      'http://router.home.arpa', 'http://1.0.0.127.in-addr.arpa', 'http://a.lan', 'http://a.corp', 'http://a.home', 'http://a.notatld', 'http://ⓛocalhost'
    ],
    'must have at most 2048 characters': [`https://example.com/${'a'.repeat(2_029)}`, 'a'.repeat(1_000_000)]
  }
  for (const [reason, inputs] of Object.entries(reasons)) {
    for (const input of inputs) t.equal(reasonOf(input), reason, printable(input))
  }
})

await t.test('2,048 characters are accepted', async (t) => {
  t.equal(parseShareUrl(`https://example.com/${'a'.repeat(2_028)}`).ok, true)
})

await t.test('the platform is that of the registrable domain', async (t) => {
  const hosts: Record<string, string[]> = {
    reddit: ['reddit.com', 'www.reddit.com', 'old.reddit.com', 'redd.it', 'v.redd.it', 'WWW.REDDIT.COM', 'reddit.com.'],
    tiktok: ['tiktok.com', 'vm.tiktok.com'],
    youtube: ['youtube.com', 'm.youtube.com', 'youtu.be', 'www.youtube-nocookie.com'],
    instagram: ['instagram.com', 'www.instagram.com', 'instagr.am'],
    x: ['x.com', 'mobile.x.com', 'twitter.com', 'mobile.twitter.com', 't.co'],
    web: ['example.com', 'reddit.com.evil.org', 'notreddit.com', 'reddit-com.org', 'reddit.co', 'xx.com', 'fox.com', 't.com', 'at.co', 'youtube.co.uk',
      'youtu.be.com', 'xn--reddt-q4a.com', 'com', '', 'localhost', '127.0.0.1', '__proto__', 'constructor']
  }
  for (const [platform, names] of Object.entries(hosts)) {
    for (const name of names) t.equal(platformOf(name), platform, name)
  }
})

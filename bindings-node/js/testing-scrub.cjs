// Takes credentials out of what is shown or kept.
'use strict'

const SCRUBBED = '[scrubbed]'
const WORDS = ['auth', 'key', 'token', 'secret', 'cookie', 'credential', 'password', 'signature']
/** Characters of the shortest credential that is looked for in texts; shorter ones would be found in words. */
const SHORTEST = 8

// All that is kept of an answer's headers: what a client reads, nothing that names an account or a session.
const KEPT =
  /^(?:content-type|retry-after(?:-ms)?|(?:x-|openai-|anthropic-|apim-|x-goog-|x-amzn-)?request-?id|x-should-retry|x-inference-provider|(?:x-|anthropic-)ratelimit-[a-z-]+|openai-processing-ms|x-amzn-errortype)$/

/** Whether a header or parameter of this name may carry a credential. */
const secret = (name) => WORDS.some((word) => name.toLowerCase().includes(word))

/** Headers for people to see. */
const shown = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, secret(name) ? SCRUBBED : value]))

/** Headers of an answer that are written into a file. */
function kept(rawHeaders) {
  const made = {}
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at].toLowerCase()
    if (KEPT.test(name)) made[name] = rawHeaders[at + 1]
  }
  return made
}

/** A path whose query tells no credential. */
function scrubbedPath(given) {
  const at = given.indexOf('?')
  if (at < 0) return given
  const query = new URLSearchParams(given.slice(at + 1))
  const names = [...query.keys()].filter(secret)
  if (names.length === 0) return given
  return `${given.slice(0, at)}?${new URLSearchParams([...query].map(([name, value]) => [name, secret(name) ? 'scrubbed' : value]))}`
}

/** The credentials of a request, in every spelling in which an answer may repeat them; longest first. */
function secrets(headers, path) {
  const values = [...new URLSearchParams(path.split('?')[1] ?? '')].filter(([name]) => secret(name)).map(([, value]) => value)
  for (const [name, value] of Object.entries(headers)) {
    if (!secret(name)) continue
    const blank = value.indexOf(' ')
    const [scheme, rest] = blank < 0 ? [value, ''] : [value.slice(0, blank), value.slice(blank + 1)]
    values.push(value, rest)
    for (const part of (rest || value).split(/[,;]\s*|\s+/)) if (part.includes('=')) values.push(part.slice(part.indexOf('=') + 1))
    if (scheme.toLowerCase() === 'basic') {
      const pair = Buffer.from(rest, 'base64').toString()
      values.push(pair, pair.slice(pair.indexOf(':') + 1))
    }
  }
  const found = new Set(values.filter(({ length }) => length >= SHORTEST))
  for (const value of [...found]) found.add(Buffer.from(value).toString('base64').replace(/=+$/, ''))
  return [...found].sort((a, b) => b.length - a.length).map(spelt)
}

/** A text, each sign of which may be escaped as in JSON or in an address. */
function spelt(value) {
  const signs = [...value].map((sign) => {
    const hex = sign.charCodeAt(0).toString(16).padStart(2, '0').replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)
    return `\\\\?(?:${sign.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&')}|[uU]00${hex}|%${hex})`
  })
  return new RegExp(signs.join(''), 'g')
}

/** The same text without them. */
const text = (given, secrets) => secrets.reduce((rest, one) => rest.replace(one, SCRUBBED), given)

/** The same pieces without them; those over which one was spread become one. Latin-1 stands for bytes. */
function pieces(given, secrets) {
  const joined = Buffer.concat(given).toString('latin1')
  // Where pieces may not be divided: within a credential.
  const inside = new Set()
  for (const one of secrets) {
    for (const { 0: found, index } of joined.matchAll(one)) {
      for (let at = index + 1; at < index + found.length; at++) inside.add(at)
    }
  }
  if (inside.size === 0) return given
  const merged = []
  let start = 0
  let at = 0
  for (const piece of given) {
    at += piece.length
    if (inside.has(at)) continue
    merged.push(joined.slice(start, at))
    start = at
  }
  merged.push(joined.slice(start))
  return merged.filter(Boolean).map((piece) => Buffer.from(text(piece, secrets), 'latin1'))
}

module.exports = { kept, pieces, scrubbedPath, secrets, shown, text }

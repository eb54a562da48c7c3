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
  const spelt = new Set()
  for (const value of values.filter(({ length }) => length >= SHORTEST)) {
    const inBase64 = Buffer.from(value).toString('base64').replace(/=+$/, '')
    for (const each of [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), value.replaceAll('/', '\\/'), inBase64]) {
      spelt.add(each)
    }
  }
  return [...spelt].sort((a, b) => b.length - a.length)
}

/** The same text without them. */
const text = (given, secrets) => secrets.reduce((rest, one) => rest.replaceAll(one, SCRUBBED), given)

/** The same pieces without them; those over which one was spread become one. Latin-1 stands for bytes. */
function pieces(given, secrets) {
  const joined = Buffer.concat(given).toString('latin1')
  const found = secrets.map((one) => Buffer.from(one).toString('latin1')).filter((one) => joined.includes(one))
  if (found.length === 0) return given
  // Where pieces may still be divided: nowhere within a credential.
  const inside = new Set()
  for (const one of found) {
    for (let at = joined.indexOf(one); at >= 0; at = joined.indexOf(one, at + 1)) {
      for (let within = at + 1; within < at + one.length; within++) inside.add(within)
    }
  }
  const merged = []
  let start = 0
  let at = 0
  for (const piece of given) {
    at += piece.length
    if (inside.has(at)) continue
    merged.push(joined.slice(start, at))
    start = at
  }
  if (start < joined.length) merged.push(joined.slice(start))
  return merged.map((piece) => Buffer.from(text(piece, found), 'latin1'))
}

module.exports = { kept, pieces, scrubbedPath, secrets, shown, text }

// What a scripted upstream answers: the words of a script, their check, and which route takes a request.
'use strict'

const { isDeepStrictEqual } = require('node:util')

const { ConfigError } = require('./errors.cjs')

const WHEN = ['provider', 'method', 'path', 'path_ends', 'model', 'header', 'body', 'body_contains', 'last_role']
const BODIES = ['answer', 'embeddings', 'json', 'body', 'sse', 'steps']
const RESPONSE = [
  ...BODIES, 'status', 'headers', 'delay_ms', 'tool_calls', 'finish_reason', 'usage', 'breaks', 'done', 'chunk_delay_ms', 'cut_after',
]
const STEP = ['send', 'delay_ms', 'stall', 'reset', 'close']

/** Requests that look like this, once `then` says what they get. */
const when = (conditions) => ({ then: (...responses) => ({ when: conditions, then: responses }) })

const answer = (text, more = {}) => ({ answer: text, ...more })

const embeddings = (vectors, more = {}) => ({ embeddings: vectors, ...more })

const reset = () => ({ steps: [{ reset: true }] })

function error(status, message = 'scripted error', { code = null, retryAfter, headers = {}, ...more } = {}) {
  const told = retryAfter == null ? {} : { 'retry-after': String(retryAfter) }
  return { status, headers: { ...told, ...headers }, json: { error: { message, type: code ?? 'scripted', code } }, ...more }
}

/** The routes, and how far each has come. */
class Script {
  #routes = []

  constructor(given) {
    const bare = []
    for (const [at, one] of given.entries()) {
      const place = `[${at}]`
      const isRoute = one != null && typeof one === 'object' && ('then' in one || 'when' in one)
      known(one, isRoute ? ['when', 'then'] : RESPONSE, place)
      if (!isRoute) {
        bare.push(checked(one, place))
        continue
      }
      // `when(...)` that was not completed has a function there.
      if (one.then == null || typeof one.then === 'function') throw refused(place, '`when` without `then`')
      const listed = Array.isArray(one.then) ? one.then : [one.then]
      if (listed.length === 0) throw refused(`${place}.then`, 'at least one answer is needed')
      known(one.when ?? {}, WHEN, `${place}.when`)
      const then = listed.map((each, n) => checked(each, `${place}.then[${n}]`))
      this.#routes.push({ when: one.when ?? {}, then, used: 0 })
    }
    // Bare answers are those of every request that no route took.
    if (bare.length) this.#routes.push({ when: {}, then: bare, used: 0 })
  }

  /** The route of a request, and its answer this time. */
  take(request) {
    const at = this.#routes.findIndex(({ when }) => Object.entries(when).every(([name, wanted]) => holds(name, wanted, request)))
    if (at < 0) return undefined
    const route = this.#routes[at]
    return { route: at, response: route.then[Math.min(route.used++, route.then.length - 1)] }
  }

  toString() {
    return this.#routes.map(({ when }) => `when ${JSON.stringify(when)}`).join('; ') || 'nothing'
  }
}

function holds(name, wanted, request) {
  const { body, path, text, headers } = request
  switch (name) {
    case 'header':
      return Object.entries(wanted).every(([key, value]) => headers[key.toLowerCase()] === value)
    case 'body':
      return part(wanted, body)
    case 'body_contains':
      return text.includes(wanted)
    case 'path':
      return (wanted.includes('?') ? path : path.split('?')[0]) === wanted
    case 'path_ends':
      return path.split('?')[0].endsWith(wanted)
    case 'model':
      return body?.model === wanted
    case 'last_role':
      return body?.messages?.at(-1)?.role === wanted
    default:
      return request[name] === wanted
  }
}

/** Whether one JSON value is a part of another: objects may have more keys. */
function part(wanted, there) {
  if (Array.isArray(wanted)) {
    return Array.isArray(there) && there.length === wanted.length && wanted.every((each, at) => part(each, there[at]))
  }
  if (wanted !== null && typeof wanted === 'object') {
    return isObject(there) && Object.entries(wanted).every(([key, value]) => Object.hasOwn(there, key) && part(value, there[key]))
  }
  return isDeepStrictEqual(wanted, there)
}

function checked(response, at) {
  known(response, RESPONSE, at)
  const has = (name) => response[name] !== undefined
  const said = has('answer') || has('tool_calls')
  const bodies = BODIES.filter((name) => has(name) || (name === 'answer' && said))
  if (bodies.length > 1) throw refused(at, `only one body form is possible, found ${bodies.join(', ')}`)
  if (!said && (has('usage') || has('finish_reason'))) throw refused(at, '`finish_reason` and `usage` need `answer` or `tool_calls`')
  if (has('breaks') && !has('answer')) throw refused(at, '`breaks` needs `answer`')
  if (has('done') && !said && !has('sse')) throw refused(at, '`done` needs `sse`, `answer` or `tool_calls`')
  if (response.embeddings?.length === 0) throw refused(`${at}.embeddings`, 'at least one vector is needed')
  const breaks = response.breaks ?? { after: 0 }
  known(breaks, ['after', 'skip', 'then'], `${at}.breaks`)
  if (breaks.after === undefined) throw refused(`${at}.breaks`, '`after` is missing')
  for (const [name, steps] of [['steps', response.steps ?? []], ['breaks.then', breaks.then ?? []]]) {
    for (const [n, step] of steps.entries()) {
      known(step, STEP, `${at}.${name}[${n}]`)
      if (Object.keys(step).length !== 1) throw refused(`${at}.${name}[${n}]`, 'a step does one thing')
    }
  }
  for (const [n, call] of (response.tool_calls ?? []).entries()) {
    known(call, ['id', 'name', 'arguments'], `${at}.tool_calls[${n}]`)
    if (call.name === undefined || call.arguments === undefined) {
      throw refused(`${at}.tool_calls[${n}]`, '`name` and `arguments` are needed')
    }
  }
  return response
}

function known(given, names, at) {
  if (!isObject(given)) throw refused(at, `expected an object, found ${given === null ? 'null' : typeof given}`)
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) throw refused(`${at}.${name}`, `unknown field; possible are ${[...names].sort().join(', ')}`)
  }
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)

const refused = (at, why) => wrong(`upstream script, at ${at}: ${why}`, at)

/** The error for what was not given as it must be; `param` says where. */
const wrong = (message, param, options) => new ConfigError({ kind: 'invalid_config', message, retryable: false, param }, options)

module.exports = { Script, answer, embeddings, error, reset, when, wrong }

// OpenAI's endpoints inside the user's own server: for frameworks that speak web requests, and for `node:http`.
'use strict'

const { Refused, failed } = require('./answers.cjs')
const { asked } = require('./endpoint.cjs')
const { exchange } = require('./serve-http.cjs')

/** Most bytes of a request; images travel inside. */
const BODY_LIMIT = 10 * 1024 * 1024

/** Milliseconds of silence after which a stream sends a comment; proxies give up after 30 or 60 s. */
const KEEP_ALIVE = 15_000

/** `(Request) => Promise<Response>`, for Hono, Next.js and whatever else speaks these. */
function handler(client, options) {
  const serve = server(client, options)
  return (request, context) => serve.respond(request, context, request.signal)
}

/** `(req, res) => Promise<void>`, for `node:http`, Express, Fastify. */
function nodeHandler(client, options) {
  const serve = server(client, options)
  return (req, res) => exchange(req, res, serve)
}

function server(client, { authorize, bodyLimit = BODY_LIMIT, keepAliveMs: keepAlive = KEEP_ALIVE, onError = print } = {}) {
  async function respond(request, context, signal) {
    try {
      const { pathname } = new URL(request.url)
      const allowed = authorize ? await authorize(request, context) : true
      if (isResponse(allowed)) return allowed
      if (allowed !== true && (allowed === null || typeof allowed !== 'object')) throw unauthorized()
      const call = asked(request.method, pathname)
      return await call(client, { read: () => text(request, bodyLimit), signal, keepAlive, laid: allowed === true ? undefined : allowed })
    } catch (error) {
      const response = failed(error)
      if (response) return response
      // What is none of ours may hold anything: it is for the server to see, not for its clients.
      if (!signal.aborted && error?.code !== 'ECONNRESET') onError(error, request)
      return failed(new Refused(500, 'internal', 'the server failed'))
    } finally {
      // What was not wanted is not waited for either.
      if (!request.bodyUsed) request.body?.cancel().catch(() => undefined)
    }
  }
  return { respond, fault: onError }
}

function print(error) {
  console.error('interfuse: a request could not be served:', error)
}

/** Also where a framework has put a class of its own in the place of `Response`. */
const isResponse = (value) => Object.prototype.toString.call(value) === '[object Response]'

function unauthorized() {
  return new Refused(401, 'authentication', 'this server does not know the key of the request', { 'www-authenticate': 'Bearer' })
}

/** The body, if it is JSON and not too long. */
async function text(request, limit) {
  // A page of another origin cannot send this type without being asked first whether it may.
  const type = request.headers.get('content-type') ?? ''
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new Refused(415, 'invalid_request', 'the request needs content-type: application/json')
  const tooLong = () => new Refused(413, 'invalid_request', `the request is longer than ${limit} bytes, which this server takes at most`)
  if (Number(request.headers.get('content-length')) > limit) throw tooLong()
  const pieces = []
  let length = 0
  for await (const piece of request.body ?? []) {
    length += piece.length
    if (length > limit) throw tooLong()
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

module.exports = { handler, nodeHandler }

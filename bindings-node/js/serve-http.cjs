// A request of `node:http` as a web request, and the web response written to it.
'use strict'

const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')

/** Lets `serve.respond(request, context, signal)` answer; a client that leaves aborts the signal. Never rejects. */
async function exchange(req, res, serve) {
  const leaving = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) leaving.abort()
  })
  try {
    await write(res, await serve.respond(webRequest(req), req, leaving.signal))
  } catch (error) {
    // An answer that cannot be written any further is cut off, which tells the client.
    if (!leaving.signal.aborted) serve.fault(error, req)
    res.destroy()
  }
}

async function write(res, response) {
  if (res.destroyed) return void (await response.body?.cancel())
  res.statusCode = response.status
  for (const [name, value] of response.headers) {
    if (name === 'set-cookie') res.appendHeader(name, value)
    else res.setHeader(name, value)
  }
  if (response.body) await pipeline(Readable.fromWeb(response.body), res)
  else res.end()
}

/** Methods that a web request may not have; an unknown one is refused as these are. */
const FORBIDDEN = ['CONNECT', 'TRACE', 'TRACK']

function webRequest(req) {
  const headers = new Headers()
  for (let at = 0; at < req.rawHeaders.length; at += 2) {
    if (!req.rawHeaders[at].startsWith(':')) headers.append(req.rawHeaders[at], req.rawHeaders[at + 1])
  }
  const bodiless = req.method === 'GET' || req.method === 'HEAD'
  const body = bodiless ? {} : { body: given(req) ?? incoming(req), duplex: 'half' }
  // The host is what the client says it is; nothing here depends on it.
  const method = FORBIDDEN.includes(req.method) ? 'UNKNOWN' : req.method
  return new Request(`http://localhost${req.url.startsWith('/') ? req.url : '/'}`, { method, headers, ...body })
}

/** The body, where a parser of the framework has read it already. */
function given(req) {
  if (req.body === undefined || !req.readableEnded) return undefined
  return typeof req.body === 'string' || req.body instanceof Uint8Array ? req.body : JSON.stringify(req.body)
}

/** The body as it comes. One that is not wanted is let go by: cutting the connection would lose the answer. */
function incoming(req) {
  const pieces = req.iterator({ destroyOnReturn: false })
  return new ReadableStream(
    {
      async pull(controller) {
        const { value, done } = await pieces.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await pieces.return()
        req.resume()
      },
    },
    { highWaterMark: 0 },
  )
}

module.exports = { exchange }

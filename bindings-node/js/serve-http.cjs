// A request of `node:http` as a web request, and the web response written to it.
'use strict'

const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')

/** Lets `serve(request, context, signal)` answer; a client that leaves aborts the signal. */
async function exchange(req, res, serve) {
  const leaving = new AbortController()
  const left = () => {
    if (!res.writableFinished) leaving.abort()
  }
  res.once('close', left)
  const response = await serve(webRequest(req), req, leaving.signal)
  if (res.destroyed) return void response.body?.cancel().catch(() => undefined)
  res.writeHead(response.status, Object.fromEntries(response.headers))
  if (!response.body) return void res.end()
  try {
    await pipeline(Readable.fromWeb(response.body), res)
  } catch (error) {
    // A client that left has nobody to tell; else the connection is cut, which tells it.
    if (!leaving.signal.aborted) throw error
  }
}

function webRequest(req) {
  const headers = new Headers()
  for (let at = 0; at < req.rawHeaders.length; at += 2) {
    if (!req.rawHeaders[at].startsWith(':')) headers.append(req.rawHeaders[at], req.rawHeaders[at + 1])
  }
  const bodiless = req.method === 'GET' || req.method === 'HEAD'
  const body = bodiless ? {} : { body: given(req) ?? incoming(req), duplex: 'half' }
  // The host is what the client says it is; nothing here depends on it.
  return new Request(new URL(`http://localhost${req.url.startsWith('/') ? req.url : '/'}`), { method: req.method, headers, ...body })
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

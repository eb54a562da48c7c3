// `client.fetch`: HTTP requests of OpenAI's own client, answered in this process. No socket is involved.
'use strict'

const { InterfuseError, STATUS } = require('./errors.cjs')
const { aborted } = require('./raise.cjs')

/** The response to one request as `fetch` is given it. */
async function answer(client, input, init) {
  const request = typeof input === 'object' && 'url' in input ? input : { url: String(input) }
  const method = (init?.method ?? request.method ?? 'GET').toUpperCase()
  const signal = init?.signal ?? request.signal
  const { pathname } = new URL(request.url)
  try {
    if (method === 'POST' && pathname.endsWith('/chat/completions')) {
      const body = await read(request, init)
      const result = await client.chat.completions.create(body, { signal })
      return body.stream ? events(result) : json(200, result)
    }
    if (method === 'POST' && pathname.endsWith('/embeddings')) {
      return json(200, await client.embeddings.create(await read(request, init), { signal }))
    }
    if (method === 'GET' && pathname.endsWith('/models')) {
      const models = await client.models.list()
      return json(200, { object: 'list', data: models.map(({ id }) => ({ id, object: 'model', created: 0, owned_by: '' })) })
    }
  } catch (error) {
    if (signal?.aborted) throw aborted(signal)
    return failed(error)
  }
  return json(404, { error: { message: `interfuse answers POST .../chat/completions, POST .../embeddings and GET .../models, not ${method} ${pathname}`, type: 'unsupported' } })
}

async function read(request, init) {
  return JSON.parse(init?.body == null ? await request.text() : await new Response(init.body).text())
}

function json(status, value, headers) {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } })
}

/** Chunks as server-sent events. */
function events(stream) {
  const encoder = new TextEncoder()
  const event = (value) => encoder.encode(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`)
  const body = new ReadableStream({
    async pull(controller) {
      try {
        const { value, done } = await stream.next()
        if (!done) return controller.enqueue(event(value))
        controller.enqueue(event('[DONE]'))
      } catch (error) {
        if (error.name === 'AbortError') return controller.error(error)
        controller.enqueue(event({ error: told(error) }))
      }
      controller.close()
    },
    async cancel() {
      await stream.return()
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

/** An error as a vendor would answer it. Whatever could be tried again has been. */
function failed(error) {
  if (error instanceof SyntaxError) return json(400, { error: { message: `the request is not JSON: ${error.message}`, type: 'invalid_request' } })
  if (!(error instanceof InterfuseError)) throw error
  const headers = { 'x-should-retry': 'false' }
  if (error.request_id) headers['x-request-id'] = error.request_id
  if (error.retry_after_ms != null) headers['retry-after-ms'] = String(error.retry_after_ms)
  return json(error.status ?? STATUS[error.kind] ?? 500, { error: told(error) }, headers)
}

function told(error) {
  return { message: error.message, type: error.kind, code: error.code ?? error.kind, param: error.param ?? null }
}

module.exports = { answer }

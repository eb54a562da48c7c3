// Answers as OpenAI gives them over HTTP: JSON, server-sent events, errors.
'use strict'

const { InterfuseError, STATUS } = require('./errors.cjs')

/** Heads of events: nobody on the way keeps them back. */
const EVENTS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' }

/** interfuse made every attempt that was worth making. */
const FINAL = { 'x-should-retry': 'false' }

/** A line that readers of events pass over. */
const COMMENT = ': waiting\n\n'

/** An answer that is refused here, without a call. */
class Refused extends Error {
  constructor(status, kind, message, headers) {
    super(message)
    Object.assign(this, { status, kind, headers })
  }
}

function json(status, value, headers) {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } })
}

/** A whole answer, with the id that its vendor, or its fusion in the ledger, has for it. */
function whole(result) {
  const id = result.interfuse?.request_id ?? result.interfuse?.fusion?.run_id
  return json(200, result, id && { 'x-request-id': id })
}

/** An error as a vendor would answer it; undefined for what is none of ours. */
function failed(error) {
  if (error instanceof Refused) return json(error.status, { error: described(error) }, { ...FINAL, ...error.headers })
  if (!(error instanceof InterfuseError)) return undefined
  const headers = { ...FINAL }
  if (error.request_id) headers['x-request-id'] = error.request_id
  if (error.retry_after_ms != null) headers['retry-after-ms'] = String(error.retry_after_ms)
  return json(error.status ?? STATUS[error.kind] ?? 500, { error: described(error) }, headers)
}

/** An error as OpenAI describes one. */
function described(error) {
  return { message: error.message, type: error.kind, code: error.code ?? error.kind, param: error.param ?? null }
}

/**
 * Items as the bytes of server-sent events; a failure is the last one. `items` is an iterator or promises one. `keepAlive`:
 * after how many milliseconds of silence a comment is sent, so that nobody in between gives up. `leave` ends what is not open yet.
 */
function events(items, { keepAlive, leave } = {}) {
  const encoder = new TextEncoder()
  const event = (text) => encoder.encode(`data: ${text}\n\n`)
  let next
  return new ReadableStream({
    async pull(controller) {
      next ??= Promise.resolve(items).then((open) => open.next())
      if (keepAlive && (await longer(next, keepAlive))) return controller.enqueue(encoder.encode(COMMENT))
      const waited = next
      next = undefined
      try {
        const { value, done } = await waited
        if (!done) return controller.enqueue(event(JSON.stringify(value)))
        controller.enqueue(event('[DONE]'))
      } catch (error) {
        if (error?.name === 'AbortError' || !(error instanceof InterfuseError)) return controller.error(error)
        controller.enqueue(event(JSON.stringify({ error: described(error) })))
      }
      controller.close()
    },
    async cancel() {
      leave?.()
      await Promise.resolve(items).then((open) => open.return(), () => undefined)
    },
  })
}

/** Whether a promise takes longer than that. */
function longer(promise, ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, true)
    const settled = () => {
      clearTimeout(timer)
      resolve(false)
    }
    promise.then(settled, settled)
  })
}

module.exports = { EVENTS, Refused, events, failed, json, longer, whole }

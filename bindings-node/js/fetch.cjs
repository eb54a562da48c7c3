// `client.fetch`: HTTP requests of OpenAI's own client, answered in this process. No socket is involved.
'use strict'

const { failed } = require('./answers.cjs')
const { asked } = require('./endpoint.cjs')
const { aborted } = require('./raise.cjs')

/** The response to one request as `fetch` is given it. */
async function answer(client, input, init) {
  const request = typeof input === 'object' && 'url' in input ? input : { url: String(input) }
  const method = (init?.method ?? request.method ?? 'GET').toUpperCase()
  const signal = init?.signal ?? request.signal
  const read = () => (init?.body == null ? request.text() : new Response(init.body).text())
  try {
    return await asked(method, new URL(request.url).pathname)(client, { read, signal })
  } catch (error) {
    if (signal?.aborted) throw aborted(signal)
    const response = failed(error)
    if (response) return response
    throw error
  }
}

module.exports = { answer }

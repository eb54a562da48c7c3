// OpenAI's endpoints, answered by a client of interfuse: from a request to a call to a response. `client.fetch` and the
// handlers of `interfuse/serve` share it.
'use strict'

const { EVENTS, Refused, events, json, longer, whole } = require('./answers.cjs')

/** Fusion models; those are listed for which the configuration has a pool. */
const FUSIONS = ['auto', 'vote', 'cascade', 'best-of', 'merge', 'debate'].map((mode) => `interfuse/${mode}`)

/** What is answered, by the end of the path: the prefix is the business of who mounts it. */
const ROUTES = [
  ['POST', /\/chat\/completions$/, chat],
  ['POST', /\/embeddings$/, embeddings],
  ['GET', /\/models$/, async (client) => json(200, { object: 'list', data: await listed(client) })],
  ['GET', /\/models\/(.+)$/, model],
]

/**
 * What a request asks for, as a function of the client. Throws `Refused`.
 * The function takes `read`, which gives the body's text, `signal` and, for streams, `keepAlive` in milliseconds.
 */
function asked(method, pathname) {
  const known = ROUTES.map(([verb, path, call]) => ({ verb, found: path.exec(pathname), call })).filter(({ found }) => found)
  const route = known.find(({ verb }) => verb === method)
  if (route) return (client, rest) => route.call(client, { ...rest, found: route.found })
  const [status, headers] = known.length ? [405, { allow: known[0].verb }] : [404]
  const message = `interfuse answers POST .../chat/completions, POST .../embeddings and GET .../models, not ${method} ${pathname}`
  throw new Refused(status, 'unsupported', message, headers)
}

async function chat(client, { read, signal, keepAlive, laid }) {
  const body = parsed(await read(), laid)
  if (!body.stream) return whole(await client.chat.completions.create(body, { signal }))
  const leaving = keepAlive && new AbortController()
  const own = leaving ? AbortSignal.any([signal, leaving.signal].filter(Boolean)) : signal
  const opening = client.chat.completions.create(body, { signal: own })
  // Once a comment has to go out, the status is said; before, a failure still has its own.
  if (!leaving || !(await longer(opening, keepAlive))) return new Response(events(await opening, { keepAlive }), { headers: EVENTS })
  return new Response(events(opening, { keepAlive, leave: () => leaving.abort() }), { headers: EVENTS })
}

async function embeddings(client, { read, signal, laid }) {
  return whole(await client.embeddings.create(parsed(await read(), laid), { signal }))
}

async function model(client, { found }) {
  const id = decoded(found[1])
  const one = (await listed(client)).find((model) => model.id === id)
  if (!one) throw new Refused(404, 'not_found', `there is no model ${JSON.stringify(id)} in the list`)
  return json(200, one)
}

/** Models as OpenAI lists them. */
async function listed(client) {
  const messages = [{ role: 'user', content: '' }]
  const works = (model) => client.estimate({ model, messages }).then(() => model, () => undefined)
  const fusions = (await Promise.all(FUSIONS.map(works))).filter(Boolean)
  const ids = [...fusions, ...(await client.models.list()).map(({ id }) => id)]
  return ids.map((id) => ({ id, object: 'model', created: 0, owned_by: id.split('/')[0] }))
}

function decoded(part) {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** The request; what is laid over it outranks it. */
function parsed(text, laid) {
  let body
  try {
    body = JSON.parse(text)
  } catch (error) {
    throw new Refused(400, 'invalid_request', `the request is not JSON: ${error.message}`)
  }
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw new Refused(400, 'invalid_request', 'the request is no JSON object')
  return laid ? { ...body, ...laid, ...(laid.tags && { tags: { ...body.tags, ...laid.tags } }) } : body
}

module.exports = { asked }

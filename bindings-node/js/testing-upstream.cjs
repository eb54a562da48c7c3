// A scripted provider, and clients that are led to it.
'use strict'

const { Interfuse } = require('./client.cjs')
const { plan } = require('./testing-plan.cjs')
const { scrubbedPath, shown } = require('./testing-scrub.cjs')
const { Script } = require('./testing-script.cjs')
const { loopback } = require('./testing-server.cjs')

class Upstream {
  #server
  #providers
  #prices
  #requests = []

  /** Private: `Upstream.start`. */
  constructor({ providers = ['up'], prices = {} } = {}) {
    this.#providers = providers
    this.#prices = prices
  }

  static async start(script, options) {
    const routes = new Script([script].flat())
    const up = new Upstream(options)
    up.#server = await loopback((exchange) => up.#answer(routes, exchange))
    return up
  }

  get baseURL() {
    return this.#address(this.#providers[0])
  }

  get config() {
    const led = (name) => [name, { base_url: this.#address(name), api_key: `key-of-${name}` }]
    return {
      providers: Object.fromEntries(this.#providers.map(led)),
      prices: this.#prices,
      retries: { base_ms: 1, max_ms: 1 },
      use_environment: false,
    }
  }

  client({ config, ...options } = {}) {
    return new Interfuse({ ...options, config: { ...this.config, ...config } })
  }

  get requests() {
    return [...this.#requests]
  }

  close() {
    return this.#server.close()
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }

  #address(provider) {
    return `${this.#server.url}/${encodeURIComponent(provider)}/v1`
  }

  async #answer(routes, exchange) {
    const { provider, method, path, headers } = exchange
    const sent = exchange.body.toString()
    const body = parsed(sent)
    const taken = routes.take({ provider, method, path, headers, text: sent, body })
    const request = { provider, method, path: scrubbedPath(path), headers: shown(headers), body }
    this.#requests.push({ ...request, model: body?.model, route: taken?.route ?? null })
    const serial = this.#requests.length
    if (!taken) {
      return refuse(exchange, `no route of the script takes ${told(exchange, body)}; scripted: ${routes}`, 'script_without_route')
    }
    const why = unspoken(taken.response, path)
    if (why) return refuse(exchange, `the script's answer does not fit ${told(exchange, body)}: ${why}`, 'script_without_route')
    await play(exchange, taken.response, body, serial)
  }
}

/** Why an answer in OpenAI's form would not be understood there. */
function unspoken(response, path) {
  const end = path.split('?')[0]
  if ((response.answer !== undefined || response.tool_calls !== undefined) && !end.endsWith('/chat/completions')) {
    return '`answer` is a chat completion; script `embeddings`, `json`, `sse` or `steps`'
  }
  if (response.embeddings !== undefined && !end.endsWith('/embeddings')) return '`embeddings` are for /embeddings'
  return undefined
}

async function play(exchange, response, request, serial) {
  const { type, streams, length, actions } = plan(response, request, serial)
  if (response.delay_ms) await exchange.wait(response.delay_ms)
  // A reset that comes first is one of the connection, not of an answer.
  if (!actions[0]?.reset) {
    const given = Object.entries(response.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])
    exchange.head(response.status ?? 200, { 'content-type': type, ...Object.fromEntries(given) }, streams ? null : length)
  }
  for (const action of actions) {
    if (action.send) await exchange.send(action.send)
    else if (action.delay) await exchange.wait(action.delay)
    else if (action.stall) await exchange.wait()
    else if (action.reset) return exchange.reset()
    else if (action.close) return exchange.close()
  }
  exchange.end()
}

/** The JSON document that a text is, or the text. */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** A request in a few words, for an error. */
function told({ method, path, provider }, body) {
  const said = JSON.stringify(body)
  const short = said.length > 300 ? `${said.slice(0, 300)}...` : said
  const of = body?.model ? ` of model ${body.model}` : ''
  return `${method} ${scrubbedPath(path)}${of} at provider ${provider}: ${short}`
}

/** Answers with an error in OpenAI's form; a client throws it with this `code`. */
async function refuse(exchange, message, code, status = 404) {
  const data = Buffer.from(JSON.stringify({ error: { message, type: code, code } }))
  exchange.head(status, { 'content-type': 'application/json' }, data.length)
  await exchange.send(data)
  exchange.end()
}

module.exports = { Upstream, parsed, refuse, told }

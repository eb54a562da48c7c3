// Records what providers answer, and gives it again without them.
//
// The file is JSON, and the same in every language: `providers` by name, and `interactions` in the order in which the requests came,
// each with `provider`, `request` (`method`, `path`, `body`) and `response`: `status`, `headers`, and `json`, or `body` (text), or
// `pieces` (a stream as it came: texts, or `{"base64": ...}`). `ends` is `cut` where the provider broke off, and `left` where the
// client did; a `response` that is null never came before the client left. No header of a request is kept.
'use strict'

const { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, statSync, unlinkSync, writeSync } = require('node:fs')
const http = require('node:http')
const https = require('node:https')
const { basename, dirname, join } = require('node:path')
const { rootCertificates } = require('node:tls')
const { fileURLToPath } = require('node:url')
const { isDeepStrictEqual } = require('node:util')

const { Interfuse } = require('./client.cjs')
const scrub = require('./testing-scrub.cjs')
const { wrong } = require('./testing-script.cjs')
const { Left, loopback } = require('./testing-server.cjs')
const { parsed, refuse, told } = require('./testing-upstream.cjs')

const VERSION = 1
/** Milliseconds that closing waits for answers under way. */
const SETTLE_MS = 5000
const HOP = ['host', 'connection', 'content-length', 'transfer-encoding', 'accept-encoding', 'keep-alive', 'te', 'upgrade']
const KEYS = ['api_key', 'apiKey', 'api_key_env', 'api_key_file', 'keys', 'credentials']
const STREAMS = ['text/event-stream', 'application/x-ndjson', 'application/vnd.amazon']

class Cassette {
  #path
  #given
  #server
  #ca
  #targets = {}
  #variables = {}
  #keyless = []
  #tape = []

  /** Private: `cassette`. */
  constructor(path, { mode = 'auto', config = {} } = {}) {
    this.#path = path instanceof URL ? fileURLToPath(path) : path
    this.#given = config
    if (!['auto', 'record', 'replay'].includes(mode)) {
      throw wrong(`mode of a cassette is \`auto\`, \`record\` or \`replay\`, not \`${mode}\``, 'mode')
    }
    const there = existsSync(this.#path)
    if (mode === 'replay' && !there) throw wrong(`there is no cassette ${this.#path} to replay; record it with mode: 'record'`, 'path')
    this.mode = mode === 'record' || !there ? 'record' : 'replay'
    this.unexpected = []
    if (config === null || typeof config !== 'object') throw wrong('the configuration of a cassette is an object, not a path', 'config')
  }

  static async open(path, options) {
    const tape = new Cassette(path, options)
    if (tape.mode === 'replay') {
      tape.#load()
    } else {
      const folder = dirname(tape.#path)
      if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw wrong(`there is no folder ${folder} for a cassette`, 'path')
    }
    await tape.#look()
    tape.#server = await loopback((exchange) => (tape.mode === 'record' ? tape.#record(exchange) : tape.#replay(exchange)))
    tape.options = { config: tape.#led(tape.#server.url) }
    return tape
  }

  async close() {
    await this.#end()
    if (this.mode === 'record' && this.#tape) this.#write()
    this.#tape = null
  }

  async discard() {
    await this.#end()
    this.#tape = null
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }

  async #end() {
    const server = this.#server
    this.#server = undefined
    await server?.settle(SETTLE_MS)
    await server?.close()
  }

  /** Finds out where the providers really are; for a replay, which ones would be reached without a key. */
  async #look() {
    const named = this.#given.providers ?? {}
    const own = ({ id, aliases = [] }) => [id, ...aliases].find((name) => Object.hasOwn(named, name))
    if (this.mode === 'replay') {
      const found = await providers({ use_environment: false })
      this.#keyless = found.filter((one) => one.ready && !own(one)).map(({ id }) => id)
      return
    }
    const network = this.#given.network ?? {}
    if (network.proxy) throw wrong('a cassette is recorded without a proxy', 'network.proxy')
    if (network.ca_file) this.#ca = [...rootCertificates, readFileSync(network.ca_file, 'utf8')]
    for (const one of await providers(this.#given)) {
      if (own(one) === undefined && !one.ready) continue
      const name = own(one) ?? one.id
      const host = /^[^:]*:\/\/([^/]*)/.exec(one.base_url)?.[1] ?? ''
      if (host.includes('{')) {
        if (own(one)) throw wrong(`where ${name} is must be known to record it: give its \`base_url\``, `providers.${name}`)
        continue
      }
      if (host.includes('@')) throw wrong('an address with a password in it cannot be recorded', `providers.${name}.base_url`)
      this.#targets[name] = one.base_url
      const [source, variable] = (one.key_from ?? '').split(' ')
      if (source === 'variable') this.#variables[name] = variable
    }
  }

  /** The configuration in which every provider is here. The whole path goes behind its name, as some go up in it. */
  #led(url) {
    const given = this.#given.providers ?? {}
    const providers = {}
    for (const name of new Set([...Object.keys(this.#targets), ...Object.keys(given), ...this.#keyless])) {
      const path = /^[^:]*:\/\/[^/]*(.*?)\/*$/.exec(this.#targets[name] ?? '')?.[1] ?? '/unknown'
      const { baseURL: _, ...led } = { ...given[name], base_url: `${url}/${encodeURIComponent(name)}${path}` }
      if (this.mode === 'replay') {
        for (const key of KEYS) delete led[key]
        if (this.#targets[name] || given[name]) led.api_key = 'replayed'
      } else if (this.#variables[name]) {
        // A vendor's usual variable is only for its own address; here it is named.
        led.api_key_env ??= this.#variables[name]
      }
      providers[name] = led
    }
    const { network: _, ...config } = { ...this.#given, providers }
    return this.mode === 'replay' ? { ...config, use_environment: false } : config
  }

  async #replay(exchange) {
    const { provider, method } = exchange
    const body = parsed(exchange.body.toString())
    const path = scrub.scrubbedPath(exchange.path)
    const same = this.#tape.filter(
      ({ provider: of, request }) =>
        of === provider && request.method === method && request.path === path && isDeepStrictEqual(request.body, body),
    )
    const one = same.find(({ played }) => !played)
    if (!one) {
      const count = this.#tape.length
      const why = same.length ? `is there ${same.length} times and came once more` : `is not among its ${count} requests`
      const message = `cassette ${this.#path}: ${told(exchange, body)} ${why}; record it anew with mode: 'record'`
      this.unexpected.push(message)
      return refuse(exchange, message, 'not_in_cassette')
    }
    one.played = true
    const { response } = one
    if (response === null) return exchange.wait()
    const text = response.json === undefined ? (response.body ?? '') : JSON.stringify(response.json)
    const pieces = response.pieces?.map(bytes) ?? [Buffer.from(text)]
    exchange.head(response.status, response.headers, response.pieces ? null : pieces[0].length)
    for (const piece of pieces) await exchange.send(piece)
    if (response.ends === 'cut') exchange.close()
    else if (response.ends === 'left') await exchange.wait()
    else exchange.end()
  }

  async #record(exchange) {
    const kept = { provider: exchange.provider, request: undefined, response: undefined }
    this.#tape.push(kept)
    const secrets = scrub.secrets(exchange.headers, exchange.path)
    const body = parsed(scrub.text(exchange.body.toString(), secrets))
    kept.request = { method: exchange.method, path: scrub.scrubbedPath(exchange.path), body }
    const target = this.#targets[exchange.provider]
    if (target === undefined) {
      return refuse(exchange, `cassette ${this.#path}: where provider ${exchange.provider} is was not known`, 'not_in_cassette')
    }
    const { origin } = new URL(target.replace(/^([^:]*:\/\/[^/]*).*$/s, '$1'))
    let answer
    try {
      answer = await this.#ask(origin, exchange)
    } catch (error) {
      if (exchange.left.aborted) {
        kept.response = null
        throw new Left()
      }
      return refuse(exchange, `cassette: ${origin} cannot be reached: ${error.message}`, 'cannot_record', 502)
    }
    const encoding = answer.headers['content-encoding'] ?? 'identity'
    if (encoding !== 'identity') {
      answer.destroy()
      return refuse(exchange, `cassette: the answer is compressed (${encoding}), which was not asked for`, 'cannot_record', 502)
    }
    const pieces = []
    let ends = 'cut'
    try {
      const { 'set-cookie': _, ...headers } = answer.headers
      exchange.head(answer.statusCode, headers)
      for await (const piece of answer) {
        pieces.push(piece)
        await exchange.send(piece)
      }
      if (answer.complete) ends = undefined
    } catch {
      // The provider broke off, or the client left: `ends` says which.
    }
    if (ends && exchange.left.aborted) ends = 'left'
    kept.response = recorded(answer, scrub.pieces(pieces, secrets), ends, secrets)
    if (ends) exchange.close()
    else exchange.end()
  }

  #ask(origin, { method, path, headers, body, left }) {
    const { request } = origin.startsWith('https:') ? https : http
    const passed = Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP.includes(name)))
    const options = { method, agent: false, signal: left, ca: this.#ca }
    return new Promise((resolve, reject) => {
      const sent = request(`${origin}${path}`, {
        ...options,
        headers: { ...passed, 'accept-encoding': 'identity', 'content-length': body.length },
      })
      sent.on('response', resolve).on('error', reject).end(body)
    })
  }

  #load() {
    let text
    try {
      text = readFileSync(this.#path, 'utf8')
    } catch (cause) {
      throw wrong(`the cassette ${this.#path} cannot be read: ${cause.message}`, 'path', { cause })
    }
    try {
      const { interfuse_cassette: version, providers, interactions } = JSON.parse(text)
      if (version !== VERSION) throw new Error(`it is of version ${version}, and this one reads ${VERSION}`)
      for (const [name, { base_url: target }] of Object.entries(providers)) this.#targets[name] = String(target)
      for (const { provider, request, response } of interactions) {
        if (provider === undefined || response === undefined) throw new Error('an interaction is not whole')
        this.#tape.push({ provider, request: { method: request.method, path: request.path, body: request.body }, response, played: false })
      }
    } catch (cause) {
      throw wrong(`${this.#path} is no cassette: ${cause.message}`, 'path', { cause })
    }
  }

  /** Writes the file whole or not at all. */
  #write() {
    const interactions = this.#tape.filter(({ response }) => response !== undefined)
    // What was not asked is not told: an account may have many keys.
    const asked = new Set(interactions.map(({ provider }) => provider))
    const providers = Object.fromEntries(
      Object.entries(this.#targets).filter(([name]) => asked.has(name)).map(([name, base_url]) => [name, { base_url }]),
    )
    const document = { interfuse_cassette: VERSION, providers, interactions }
    const made = join(dirname(this.#path), `.${basename(this.#path)}.${process.pid}.${Date.now()}`)
    try {
      const file = openSync(made, 'wx', 0o644)
      try {
        writeSync(file, `${JSON.stringify(document, null, 1)}\n`)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(made, this.#path)
    } catch (error) {
      if (existsSync(made)) unlinkSync(made)
      throw error
    }
  }
}

/** The backends of such a client. */
async function providers(config) {
  const client = new Interfuse({ config })
  try {
    return await client.providers()
  } finally {
    client.close()
  }
}

/** An answer as it is written into the file. */
function recorded(answer, pieces, ends, secrets) {
  const headers = Object.fromEntries(
    Object.entries(scrub.kept(answer.rawHeaders)).map(([name, value]) => [name, scrub.text(value, secrets)]),
  )
  const made = { status: answer.statusCode, headers }
  const type = headers['content-type'] ?? ''
  const text = utf8(Buffer.concat(pieces))
  if (!ends && text !== undefined && !STREAMS.some((start) => type.startsWith(start))) {
    // A number that not every language holds is kept as it is written.
    if (!type.includes('json') || /\d{16}/.test(text)) return { ...made, body: text }
    const json = parsed(text)
    return typeof json === 'string' ? { ...made, body: text } : { ...made, json }
  }
  const kept = pieces.flatMap((piece) => events(piece, type)).map((piece) => utf8(piece) ?? { base64: piece.toString('base64') })
  return { ...made, pieces: kept, ...(ends ? { ends } : {}) }
}

/** What came at once, but was written one after the other: events, or lines. Latin-1 stands for bytes. */
function events(piece, type) {
  const ends = type.startsWith('text/event-stream') ? /(?<=\n\n|\r\n\r\n)/ : type.startsWith('application/x-ndjson') ? /(?<=\n)/ : undefined
  return ends ? piece.toString('latin1').split(ends).filter(Boolean).map((part) => Buffer.from(part, 'latin1')) : [piece]
}

/** The text that bytes are, if they are one. */
function utf8(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const bytes = (piece) => (typeof piece === 'string' ? Buffer.from(piece) : Buffer.from(piece.base64, 'base64'))

const cassette = (path, options) => Cassette.open(path, options)

module.exports = { Cassette, cassette }

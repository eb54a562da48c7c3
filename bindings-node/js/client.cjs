// The client as users see it. Objects become JSON text on the way in and back on the way out; the rest is native.
'use strict'

const { readFileSync } = require('node:fs')
const { readFile } = require('node:fs/promises')
const { basename } = require('node:path')
const { fileURLToPath } = require('node:url')

const { EVENTS, whole } = require('./answers.cjs')
const { Batch } = require('./batch.cjs')
const { ChatCompletionStream } = require('./chat-stream.cjs')
const { answer } = require('./fetch.cjs')
const { Gathered } = require('./gathering.cjs')
const { answering, withoutSources } = require('./keys.cjs')
const { load } = require('./native.cjs')
const { aborted, badConfig, fromNative, misuse } = require('./raise.cjs')
const { Stream } = require('./stream.cjs')
const { asking, isSchema, formatOf } = require('./structured.cjs')
const { running } = require('./tools.cjs')

/** Name of the provider that `baseURL` without `provider` makes. */
const OWN = 'default'

/** The native half; loaded for the first client, so that importing costs nothing. */
let native
const addon = () => (native ??= load())

/** Has every call of a client begin with `begin(operation, request)`, which gives what is told of its course. For `interfuse/otel`. */
let observe

class Interfuse {
  #native
  #defaults
  #begin

  static {
    observe = (client, begin) => {
      client.#begin = begin
    }
  }

  /** `shared`, which is not for users: the native half and the defaults of another client. */
  constructor(options = {}, shared) {
    if (shared) {
      this.#native = shared.native
      this.#begin = shared.begin
    } else {
      this.#native = opened(options)
    }
    this.#defaults = merged(defaults(options), shared?.defaults ?? {})
    const create = (body, options) => responding(this.#chat(body, options))
    this.chat = Object.assign((body, options) => create(body, options), {
      completions: {
        create,
        parse: (body, options) => responding(this.#parse(body, options)),
        stream: (body, options) => this.#events(body, options),
      },
    })
    this.embeddings = { create: (body, options) => responding(this.#embeddings(body, options)) }
    /** Stands in for the `fetch` of OpenAI's own client: `new OpenAI({ fetch: client.fetch })`. */
    this.fetch = (input, init) => answer(this, input, init)
    this.ledger = {
      export: ({ path, format, version, ...asked } = {}) => this.#export({ format, version, query: question(asked) }, path),
      exportFocus: (path, { version, ...asked } = {}) => this.#export({ format: 'focus', version, query: question(asked) }, path),
    }
    this.models = { list: async () => JSON.parse(told(() => this.#open().models())) }
  }

  withOptions(options) {
    for (const name of ['apiKey', 'baseURL', 'config', 'providers']) {
      if (options[name] == null) continue
      throw badConfig(`${name} makes another client: write new Interfuse({ ${name} }); withOptions changes defaults`)
    }
    return new Interfuse(options, { native: this.#open(), begin: this.#begin, defaults: this.#defaults })
  }

  async #chat(body, options) {
    if (isSchema(body.response_format)) {
      if (!body.stream) return this.#parse(body, options)
      body = { ...body, response_format: formatOf(body.response_format).sent }
    }
    if (options?.maxReasks != null) throw new TypeError('maxReasks is for whole answers of a schema: leave stream out, or use parse')
    const request = this.#request(body, options)
    return request.stream ? this.#chunks(request, options?.signal) : this.#answered(request, options?.signal)
  }

  #chunks(request, signal) {
    const start = (client, text, cancel) => client.chatStream(text, cancel)
    if (!this.#begin || request.stream_options?.include_usage) return this.#stream('chat', request, start, signal)
    // Who watches wants the usage; who reads gets what was asked for.
    const counted = { ...request, stream_options: { ...request.stream_options, include_usage: true } }
    return this.#stream('chat', counted, start, signal, withoutUsage())
  }

  async #parse(body, options) {
    if (body.stream) throw new TypeError('parse gives a whole answer; leave stream out')
    return asking(this.#request(body, options), options?.maxReasks, (request) => this.#answered(request, options?.signal))
  }

  #events(body, options) {
    const gathered = new Gathered({ ...this.#request(body, options), stream: true })
    return new ChatCompletionStream(gathered, (request, signal) => this.#chunks(request, signal), options?.signal)
  }

  #answered(request, signal) {
    return this.#call('chat', request, (client, text, cancel) => client.chat(text, cancel), signal)
  }

  async runTools(prompt, body, options) {
    const [asked, rest = {}] = fusion(prompt, body, options)
    return running(this.#request(asked, rest), rest, (request) => this.#answered(request, rest.signal))
  }

  async #embeddings(body, options) {
    const request = this.#request(body, options)
    return this.#call('embeddings', request, (client, text, cancel) => client.embeddings(text, cancel), options?.signal)
  }

  async fuse(prompt, body, options) {
    const [request, rest] = fusion(prompt, body, options)
    return request.stream ? this.fuseStream(request, rest) : this.#fuse(request, rest)
  }

  #fuse(body, options) {
    const request = deadline(this.#request(body, options))
    return this.#call('fuse', request, (client, text, cancel) => client.fuse(text, cancel), options?.signal)
  }

  async fuseStream(prompt, body, options) {
    const [asked, rest] = fusion(prompt, body, options)
    const { stream: _, ...request } = deadline(this.#request(asked, rest))
    return this.#stream('fuse', request, (client, text, cancel) => client.fuseStream(text, cancel), rest?.signal)
  }

  async evaluate(body, options) {
    const { stream, ...request } = this.#request({ ...body, items: file(body.items) }, options)
    for (const name of ['checkpoint', 'report']) if (request[name] != null) request[name] = file(request[name])
    if (stream) {
      const whole = (event) => (event.type === 'done' ? { ...event, result: drawn(event.result) } : event)
      const made = (events) => events?.map(whole)
      return this.#stream('evaluate', request, (client, text, cancel) => client.evaluateStream(text, cancel), options?.signal, made)
    }
    return drawn(await this.#call('evaluate', request, (client, text, cancel) => client.evaluate(text, cancel), options?.signal))
  }

  batch(requests, { common = {}, checkpoint, ...body } = {}, options) {
    if (typeof requests === 'string' || !(requests?.[Symbol.iterator] || requests?.[Symbol.asyncIterator])) {
      throw new TypeError('a batch takes many requests: an array, a generator or another iterable')
    }
    const total = Array.isArray(requests) ? requests.length : undefined
    const given = { total, ...body, common: this.#request(common, options), checkpoint: file(checkpoint) }
    const start = (onNative) =>
      this.#stream(undefined, given, async (client, text, cancel) => {
        const batch = await client.batch(text, cancel)
        onNative(batch)
        return batch.events()
      }, options?.signal)
    const toText = (report) => told(() => addon().batchText(JSON.stringify(report)))
    return new Batch(start, requests, options?.progress, toText)
  }

  async rejudge(report, prompt, body, options) {
    const [asked, rest] = fusion(prompt, body, options)
    const given = JSON.stringify(report)
    const request = deadline(this.#request(asked, rest))
    return this.#call('rejudge', request, (client, text, cancel) => client.rejudge(given, text, cancel), rest?.signal)
  }

  async feedback(runId, outcome) {
    await this.#asked((client) => client.feedback(runId, JSON.stringify(outcome)))
  }

  async explain(body) {
    return JSON.parse(told(() => this.#open().explain(JSON.stringify(this.#request(body)))))
  }

  async estimate(prompt, body) {
    const [request] = fusion(prompt, body)
    return JSON.parse(told(() => this.#open().estimate(JSON.stringify(this.#request(request)))))
  }

  async budgets() {
    return this.#asked((client) => client.budgets())
  }

  async usage(options = {}) {
    const query = JSON.stringify(question(options))
    const report = await this.#asked((client) => client.usage(query))
    // Not enumerable: what is printed, compared or sent on is the data.
    return Object.defineProperty(report, 'toCsv', { value: () => told(() => addon().usageCsv(JSON.stringify(report))) })
  }

  async records(options = {}) {
    return this.#stream(undefined, question(options), (client, text, cancel) => client.records(text, cancel), options.signal)
  }

  async usageHtml(options = {}) {
    return this.#export({ format: 'html', query: question(options) }, options.path)
  }

  /** As text, or into a file; then what was written. */
  async #export(request, path) {
    const text = JSON.stringify(request)
    try {
      if (path == null) return await this.#open().export(text)
      return JSON.parse(await this.#open().exportFile(text, path instanceof URL ? fileURLToPath(path) : path))
    } catch (fault) {
      throw fromNative(fault)
    }
  }

  async loadPrices(list) {
    const text = list instanceof URL ? await readFile(list, 'utf8') : typeof list === 'string' ? list : Buffer.from(list).toString('utf8')
    return JSON.parse(told(() => this.#open().loadPrices(text)))
  }

  async reconcile(reports, options = {}) {
    const files = await Promise.all([reports].flat().map(report))
    return this.#asked((client) => client.reconcile(JSON.stringify({ files, options })))
  }

  async providers() {
    return JSON.parse(told(() => this.#open().providers()))
  }

  async flush() {
    try {
      await this.#open().flush()
    } catch (fault) {
      throw fromNative(fault)
    }
  }

  /** Ends the use of this client; calls in flight are not touched. */
  close() {
    this.#native = null
  }

  [Symbol.dispose]() {
    this.close()
  }

  async [Symbol.asyncDispose]() {
    try {
      if (this.#native) await this.flush()
    } finally {
      this.close()
    }
  }

  #open() {
    if (this.#native) return this.#native
    throw misuse('this client is closed; make a new one')
  }

  /** The caller's body with the options of the call and this client's defaults. */
  #request(body, options) {
    if (body === null || typeof body !== 'object') throw new TypeError('the request must be an object')
    const given = {}
    if (options?.timeout != null) given.timeout_ms = options.timeout
    if (options?.maxRetries != null) given.max_retries = options.maxRetries
    if (options?.headers != null) given.extra_headers = options.headers
    return merged(merged(body, given), this.#defaults)
  }

  /** One call: `start(client, text, cancel)` promises its answer as text. */
  async #call(operation, request, start, signal) {
    const watch = this.#begin?.(operation, request)
    try {
      const answer = await this.#asked((client, cancel) => start(client, JSON.stringify(request), cancel), signal)
      watch?.answered(answer)
      return identified(answer)
    } catch (error) {
      watch?.failed(error)
      throw error
    }
  }

  /** What the native half answers. */
  async #asked(start, signal) {
    const client = this.#open()
    if (!signal) {
      try {
        return JSON.parse(await start(client))
      } catch (fault) {
        throw fromNative(fault)
      }
    }
    if (signal.aborted) throw aborted(signal)
    const cancel = new (addon().Cancel)()
    const onAbort = () => cancel.cancel()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return JSON.parse(await start(client, cancel))
    } catch (fault) {
      throw signal.aborted ? aborted(signal) : fromNative(fault)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** One stream; without an `operation`, of what is in this process already. */
  async #stream(operation, request, start, signal, made) {
    const client = this.#open()
    const text = JSON.stringify(request)
    const watch = operation && this.#begin?.(operation, request)
    return Stream.open((cancel) => start(client, text, cancel), new (addon().Cancel)(), signal, made, watch)
  }
}

/** The native half of a client with these options. */
function opened(options) {
  const own = {}
  if (options.baseURL != null) own.baseURL = options.baseURL
  const provider = providerOf(options)
  if (options.apiKey != null) {
    if (provider == null) {
      throw badConfig(
        "apiKey without a provider: a key belongs to one vendor. Write new Interfuse({ provider: 'openai', apiKey }), " +
          'or new Interfuse({ baseURL, apiKey }) for a server of your own.',
      )
    }
    own.apiKey = options.apiKey
  }
  const sources = new Map()
  const document = readDocument(options.config, sources)
  const laidOver = Object.keys(own).length ? merged({ [provider]: own }, options.providers ?? {}) : options.providers
  const { NativeClient } = addon()
  const text = laidOver == null ? undefined : JSON.stringify(withoutSources(laidOver, sources))
  return told(() => new NativeClient(document, text, [...sources.keys()], answering(sources)))
}

/** The backend that options name, or make by an address. */
const providerOf = ({ provider, baseURL }) => provider ?? (baseURL == null ? undefined : OWN)

/** What options say of every request. */
function defaults(options) {
  const all = {
    provider: providerOf(options),
    timeout_ms: options.timeout,
    max_retries: options.maxRetries,
    extra_headers: options.defaultHeaders,
    tags: options.tags,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value != null))
}

/** A fused answer as one HTML page for people. */
function fusedHtml(fused) {
  return told(() => addon().fusedHtml(JSON.stringify(fused)))
}

/** Chunks as they are without `include_usage`: no usage, and what interfuse adds on the last one that says something. */
function withoutUsage() {
  const isLast = (chunk) => chunk !== undefined && !chunk.interfuse && chunk.choices.some(({ finish_reason }) => finish_reason)
  let kept = []
  return (chunks) => {
    const ready = kept
    kept = []
    for (const { usage, ...chunk } of chunks ?? []) {
      if (usage && !chunk.choices.length && isLast(ready.at(-1))) ready.push({ ...ready.pop(), interfuse: chunk.interfuse })
      else ready.push(chunk)
    }
    if (chunks && isLast(ready.at(-1))) kept = [ready.pop()]
    return ready
  }
}

/** A promised answer, with OpenAI's ways to the response around it: as far as that is kept, with the answer as its body. */
function responding(promise) {
  const asResponse = async () => {
    const answer = await promise
    return answer instanceof Stream ? answer.toResponse() : whole(answer)
  }
  const withResponse = async () => {
    const data = await promise
    const response = data instanceof Stream ? new Response(null, { headers: EVENTS }) : whole(data)
    return { data, response, request_id: response.headers.get('x-request-id') }
  }
  return Object.assign(promise, { asResponse, withResponse })
}

/** An answer with OpenAI's name of its request's id; not enumerable, as there. */
function identified(answer) {
  const id = answer.interfuse?.request_id
  return id === undefined ? answer : Object.defineProperty(answer, '_request_id', { value: id })
}

/** A path, where the `URL` of a file is given. */
const file = (given) => (given instanceof URL ? fileURLToPath(given) : given)

/** An evaluation that people can read. */
function drawn(evaluation) {
  const text = JSON.stringify(evaluation)
  // Not enumerable: what is printed, compared or sent on is the data.
  return Object.defineProperties(evaluation, {
    toText: { value: ({ width = 100, color = false } = {}) => told(() => addon().evaluationText(text, width, color)) },
    toHtml: { value: () => told(() => addon().evaluationHtml(text)) },
  })
}

/** `fuse(prompt, body, options)` and `fuse(body, options)` as one. */
function fusion(prompt, body, options) {
  return typeof prompt === 'string' ? [{ ...body, prompt }, options] : [prompt, body]
}

/** Of a fusion, a timeout is the deadline of the whole. */
function deadline({ timeout_ms, ...request }) {
  return timeout_ms == null ? request : { deadline_ms: timeout_ms, ...request }
}

/** `request` with what it leaves open taken from `defaults`; objects of both are laid over each other. */
function merged(request, defaults) {
  let result = request
  for (const name in defaults) {
    const [asked, usual] = [request[name], defaults[name]]
    if (asked == null) {
      result = { ...result, [name]: usual }
    } else if (typeof asked === 'object' && typeof usual === 'object') {
      result = { ...result, [name]: { ...usual, ...asked } }
    }
  }
  return result
}

/** The configuration as text: given as an object or a path, or the file that INTERFUSE_CONFIG names. */
function readDocument(config, sources) {
  const path = config ?? (process.env.INTERFUSE_CONFIG || undefined)
  if (path === undefined) return undefined
  if (typeof path !== 'string' && !(path instanceof URL)) {
    return JSON.stringify(path.providers == null ? path : { ...path, providers: withoutSources(path.providers, sources) })
  }
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const said = config == null ? `the file ${path} that INTERFUSE_CONFIG names` : `the file ${path}`
    throw badConfig(`configuration: ${said} cannot be read: ${cause.message}`, { cause })
  }
}

/** A question to the ledger; times are dates, milliseconds or text. */
function question({ by = [], since, until, where = {}, timeZone, latencies = false }) {
  const query = { by: typeof by === 'string' ? [by] : by, where, time_zone: timeZone, latencies }
  for (const [name, when] of [['since', since], ['until', until]]) {
    if (typeof when === 'string') query[name] = when
    else if (when != null) query[`${name}_ms`] = Math.max(0, Math.floor(when instanceof Date ? when.getTime() : when))
  }
  return query
}

/** A vendor's report with its name, read where it is a file. */
async function report(given, at) {
  if (given instanceof URL) return { name: basename(given.pathname), content: await readFile(given, 'utf8') }
  const plain = typeof given === 'string' || given instanceof Uint8Array
  const { name, content } = plain ? { name: `report ${at + 1}`, content: given } : given
  return { name, content: typeof content === 'string' ? content : Buffer.from(content).toString('utf8') }
}

/** Runs a native function that throws at once. */
function told(native) {
  try {
    return native()
  } catch (fault) {
    throw fromNative(fault)
  }
}

/** From answers to known questions: how good each model is, and whom to ask. */
async function calibrate(items) {
  try {
    const text = await addon().calibrate(JSON.stringify(file(items)))
    return Object.defineProperty(JSON.parse(text), 'toText', { value: () => told(() => addon().calibrationText(text)) })
  } catch (fault) {
    throw fromNative(fault)
  }
}

/** Makes a fusion's decision again from what its report holds. */
function replay(report) {
  return JSON.parse(told(() => addon().replay(JSON.stringify(report))))
}

module.exports = { Interfuse, calibrate, fusedHtml, observe, replay }

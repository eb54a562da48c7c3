// Answers of a schema: its JSON Schema goes out, the answer is validated by it, and one that does not fit is asked for again.
// Schemas are known by the Standard Schema interface, which zod, valibot and arktype have; none of them is needed.
'use strict'

const { performance } = require('node:perf_hooks')

const { InterfuseError } = require('./errors.cjs')
const { strict, withoutLeftOut } = require('./strict.cjs')
const {
  AnswerFormatError, ContentFilterFinishReasonError, LengthFinishReasonError, carrying, unheld,
} = require('./typed-errors.cjs')

const TARGET = 'draft-2020-12'

/** What makes zod, valibot and arktype write `{}` where they have no JSON Schema; they tell no place. */
const WRITE_ANYTHING = { unrepresentable: 'any', errorMode: 'ignore', fallback: ({ base }) => base }

/** Where formats and tools keep what reads their texts: `(text) => Promise<value>`, rejecting with `Unfit`. */
const READ = Symbol.for('interfuse.read')

/** A fence of Markdown around JSON. */
const FENCE = /^\s*```\w*\s*\n([^]*?)\n?\s*```\s*$/

/** A text that does not fit: every problem with its place. */
class Unfit extends Error {
  constructor(problems) {
    super(problems.join('; '))
    this.problems = problems
  }
}

/** Whether it has the Standard Schema interface. */
function isSchema(given) {
  return given != null && typeof given !== 'string' && typeof given['~standard']?.validate === 'function'
}

/** A `response_format` that is asked for, and reads its answers in `parse` and `stream`. Throws `SchemaError`. */
function standardResponseFormat(schema, name, { schema: written, description } = {}) {
  if (!isSchema(schema)) throw new TypeError('standardResponseFormat takes a Standard Schema (zod, valibot, arktype, ...)')
  const given = written ?? jsonSchema(schema, 'response_format')
  const called = named(name ?? given.title ?? 'answer')
  const about = description ?? given.description
  const held = strict(given, called, 'response_format')
  const json_schema = { name: called, ...(about && { description: about }), schema: held, strict: true }
  return withReader({ type: 'json_schema', json_schema }, reader(schema, given))
}

/** The object, with what reads its texts. Not enumerable: it is sent as it is written. */
function withReader(made, read) {
  return Object.defineProperty(made, READ, { value: read })
}

/** A name that schemas and tools may have. */
function named(text) {
  return text.replace(/[^A-Za-z0-9_-]+/g, '_').replace(/^_+|_+$/g, '').slice(0, 64) || 'answer'
}

/** The JSON Schema that a library writes, of what `validate` takes. `at` is its place, for errors. Throws `SchemaError`. */
function jsonSchema(schema, at) {
  const { jsonSchema: writes, vendor } = schema['~standard']
  if (!writes) {
    const given = 'hand it over as the option `schema` of standardResponseFormat or standardFunction'
    const how = vendor === 'valibot' ? `wrap it in toStandardJsonSchema of @valibot/to-json-schema, or ${given}` : given
    throw unheld(at, `${vendor} writes no JSON Schema for it; ${how}`)
  }
  try {
    return writes.input({ target: TARGET })
  } catch (cause) {
    throw unheld(unwritten(writes, at), `${vendor} has no JSON Schema for it: ${cause.message}`, { cause })
  }
}

/** The place of what a library could not write. */
function unwritten(writes, at) {
  try {
    strict(writes.input({ target: TARGET, libraryOptions: WRITE_ANYTHING }), '', at)
  } catch (refused) {
    return refused.param ?? at
  }
  return at
}

/** What reads a text as a value of a schema; `written` is its JSON Schema. */
function reader(schema, written) {
  return async (text) => {
    const value = withoutLeftOut(json(text), written)
    const { issues, value: read } = await schema['~standard'].validate(value)
    if (!issues) return read
    throw new Unfit(issues.map(({ path, message }) => `${place(path) || 'the whole'}: ${message}`))
  }
}

function json(text) {
  const [, inner = text] = FENCE.exec(text) ?? []
  try {
    return JSON.parse(inner)
  } catch (error) {
    throw new Unfit([`it is not JSON: ${error.message}`])
  }
}

function place(path = []) {
  const keys = path.map((step) => (typeof step === 'object' ? step.key : step))
  return keys.reduce((at, key) => (typeof key === 'number' ? `${at}[${key}]` : at ? `${at}.${String(key)}` : String(key)), '')
}

/** A format as it is sent, with what reads it: a schema, a format of `standardResponseFormat`, or one of OpenAI's helpers. */
function formatOf(given) {
  if (isSchema(given)) return formatOf(standardResponseFormat(given))
  return { sent: given, read: readOf(given) }
}

/** What reads the texts of a format or a tool; undefined where nothing does. */
function readOf(given) {
  return given?.[READ] ?? (typeof given?.$parseRaw === 'function' ? thrown((text) => given.$parseRaw(text)) : undefined)
}

/** What throws at a text that does not fit, as a reader. */
function thrown(parse) {
  return async (text) => {
    try {
      return await parse(text)
    } catch (error) {
      throw new Unfit([error.message])
    }
  }
}

/** What reads the arguments of each tool that has something for it. */
function readersOf(tools) {
  const known = [...(tools ?? [])].map((tool) => [tool?.function?.name, readOf(tool)])
  return new Map(known.filter(([, read]) => read))
}

/**
 * Asks until the answer fits, at most `maxReasks` times again. The request's deadline and `max_cost_usd` are those of all answers
 * together. `ask` makes a call; `readers` read the arguments of tools.
 */
async function asking(given, maxReasks = 1, ask, readers = readersOf(given.tools)) {
  if (!(Number.isInteger(maxReasks) && maxReasks >= 0)) throw new RangeError(`maxReasks is 0 or more, not ${maxReasks}`)
  const { sent, read } = formatOf(given.response_format)
  let request = sent === undefined ? given : { ...given, response_format: sent }
  const spent = new Spent(request)
  for (;;) {
    const answer = await spent.paying(() => ask(spent.limited(request)))
    spent.add(answer)
    spent.summed(answer)
    try {
      return await readAnswer(answer, read, readers)
    } catch (unfit) {
      if (!(unfit instanceof Unfit)) throw unfit
      if (spent.answers > maxReasks || !spent.left()) throw failed(unfit, answer)
      request = again(request, answer, unfit)
    }
  }
}

/** What the answers of one course have cost, in money, time and attempts, and what is left for the next. */
class Spent {
  #cap
  #deadline
  #began = performance.now()
  #attempts = []
  #latency = 0
  /** Cost until now, nano-USD; undefined when that of any attempt is unknown. */
  nanos = 0
  answers = 0

  constructor(request) {
    this.#cap = request.max_cost_usd ?? undefined
    this.#deadline = request.timeout_ms ?? undefined
  }

  /** Makes a call; an error that ends the course is told what came before. */
  async paying(call) {
    try {
      return await call()
    } catch (error) {
      throw this.tell(error)
    }
  }

  /** Takes an answer in. */
  add(answer) {
    const { attempts = [], latency_ms = 0, cost_nanos } = answer.interfuse ?? {}
    this.answers += 1
    this.#attempts.push(...attempts)
    this.#latency += latency_ms
    this.#pay(cost_nanos)
  }

  /** The cost of all answers, under the names it has everywhere; nothing when unknown. */
  cost() {
    return this.nanos === undefined ? {} : { cost_nanos: this.nanos, cost_usd: usd(this.nanos) }
  }

  /** Attempts and cost of all answers, on an answer before which there were others. */
  summed(answer) {
    if (this.answers < 2 || !answer.interfuse) return
    const { cost_nanos: _, cost_usd: __, ...meta } = answer.interfuse
    answer.interfuse = { ...meta, attempts: [...this.#attempts], latency_ms: this.#latency, ...this.cost() }
  }

  #pay(nanos) {
    this.nanos = nanos === undefined || this.nanos === undefined ? undefined : this.nanos + nanos
  }

  #leftMs() {
    return this.#deadline === undefined ? undefined : this.#deadline - Math.floor(performance.now() - this.#began)
  }

  /** Whether there are time and money for another answer. What an unknown cost leaves of a cap is unknown, too. */
  left() {
    const ms = this.#leftMs()
    return (ms === undefined || ms > 0) && (this.#cap === undefined || this.nanos !== undefined)
  }

  /** The request, with what is left as its limits. */
  limited(request) {
    if (this.answers === 0) return request
    const limits = {}
    const ms = this.#leftMs()
    if (ms !== undefined) limits.timeout_ms = Math.max(1, ms)
    if (this.#cap !== undefined) limits.max_cost_usd = usd(Math.max(0, nanosOf(this.#cap) - (this.nanos ?? 0)))
    return { ...request, ...limits }
  }

  /** Puts attempts and cost of what came before on an error that ended the course. */
  tell(error) {
    if (this.answers === 0 || !(error instanceof InterfuseError)) return error
    const { attempts = [] } = error
    this.#pay(attempts.length ? error.cost_nanos : 0)
    error.attempts = [...this.#attempts, ...attempts]
    if (this.nanos === undefined) delete error.cost_nanos
    else error.cost_nanos = this.nanos
    return error
  }
}

/** Decimal USD as nano-USD; what is no amount was refused by the first call. */
function nanosOf(text) {
  const plain = /^(\d*)(?:\.(\d*))?$/.exec(text)
  return plain ? Number((plain[1] || '0') + (plain[2] ?? '').slice(0, 9).padEnd(9, '0')) : Math.floor(Number(text) * 1e9)
}

/** Nano-USD as an exact decimal text in USD. */
function usd(nanos) {
  const digits = String(nanos).padStart(10, '0')
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`.replace(/\.?0+$/, '')
}

/**
 * The answer, with `parsed` on its messages and `parsed_arguments` on the functions they call. These are not enumerable: a message
 * that is put back into a conversation is sent as the model wrote it. Throws `Unfit`, and where it has to be whole the errors of
 * an answer that was cut off.
 */
async function readAnswer(answer, read, readers, isWhole = true) {
  for (const { finish_reason, message } of answer.choices) {
    if (isWhole) whole(answer, finish_reason)
    for (const { function: called } of message.tool_calls ?? []) {
      if (called) beside(called, 'parsed_arguments', await readArguments(readers, called))
    }
    beside(message, 'parsed', read ? await readMessage(read, message) : null)
  }
  return answer
}

function beside(record, name, value) {
  Object.defineProperty(record, name, { value, configurable: true, writable: true, enumerable: false })
}

async function readMessage(read, { content, refusal, tool_calls }) {
  if (refusal || (!content && tool_calls?.length)) return null
  if (!content) throw new Unfit(['there is no text'])
  return read(content)
}

/** Arguments of a call; null where the tool has nothing to read them. Throws `Unfit`. */
async function readArguments(readers, { name, arguments: text }) {
  const read = readers.get(name)
  if (!read) return null
  try {
    return await read(text || '{}')
  } catch (unfit) {
    if (!(unfit instanceof Unfit)) throw unfit
    throw new Unfit(unfit.problems.map((problem) => `arguments of ${name}: ${problem}`))
  }
}

/** Throws where an answer was cut off. */
function whole(answer, reason) {
  if (reason === 'length') {
    const message = 'the answer was cut off at its limit of tokens before it was whole; raise max_completion_tokens'
    throw cut(LengthFinishReasonError, 'decode', message, answer)
  }
  if (reason === 'content_filter') {
    const message = "the vendor's content policy cut the answer off"
    throw cut(ContentFilterFinishReasonError, 'content_filtered', message, answer)
  }
}

function cut(Class, kind, message, answer) {
  return carrying(new Class({ kind, message, retryable: false, ...told(answer) }), 'completion', answer)
}

/** What an answer tells of its call, for an error. */
function told({ interfuse: meta = {} }) {
  const names = ['provider', 'model', 'attempts', 'cost_nanos', 'request_id']
  return Object.fromEntries(names.filter((name) => meta[name] !== undefined).map((name) => [name, meta[name]]))
}

/** The error of an answer that never fit. */
function failed(unfit, answer) {
  const message = `the answer does not fit the schema that was asked for: ${few(unfit.problems)}`
  const body = { kind: 'decode', message, retryable: false, ...told(answer), problems: unfit.problems }
  return carrying(new AnswerFormatError(body), 'completion', answer)
}

function few(problems) {
  const said = problems.slice(0, 8).join('; ')
  return problems.length > 8 ? `${said}; and ${problems.length - 8} more` : said
}

/** The request with the answer that does not fit and what is wrong with it. */
function again(request, answer, unfit) {
  const { message } = answer.choices[0]
  const asked = 'Answer once more, with the whole of it corrected.'
  const content = `This does not fit the form that was asked for: ${few(unfit.problems)}. ${asked}`
  // A vendor wants every call answered.
  const replies = (message.tool_calls ?? []).map(({ id }) => ({ role: 'tool', tool_call_id: id, content }))
  return { ...request, messages: [...request.messages, message, ...(replies.length ? replies : [{ role: 'user', content }])] }
}

module.exports = {
  Spent, Unfit, asking, failed, formatOf, isSchema, jsonSchema, named, readAnswer, readArguments, readMessage, readOf, reader, readersOf,
  standardResponseFormat, thrown, withReader,
}

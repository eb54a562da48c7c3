// Chunks of a stream put together, with what each adds under OpenAI's names of events.
'use strict'

const { Unfit, failed, formatOf, readAnswer, readArguments, readMessage, readersOf } = require('./structured.cjs')

const WHOLE = ['id', 'created', 'model', 'service_tier', 'system_fingerprint', 'usage', 'interfuse']
/** Fields that grow; others are replaced. */
const TEXTS = new Set(['content', 'refusal', 'reasoning_content', 'arguments'])

/** What has come of a stream until now. */
class Gathered {
  #read
  #readers
  #told = new Set()
  /** The request as it goes out. */
  sent
  snapshot

  /** Throws `SchemaError`. */
  constructor(request) {
    const { sent, read } = formatOf(request.response_format)
    this.#read = read
    this.#readers = readersOf(request.tools)
    this.sent = sent === undefined ? request : { ...request, response_format: sent }
    this.#clear()
  }

  #clear() {
    this.snapshot = { object: 'chat.completion', choices: [] }
    this.#told.clear()
  }

  /** Takes a chunk in and gives the events it makes, each with what its listeners get. */
  async add(chunk) {
    // The answer starts anew.
    if (chunk.interfuse?.reset) this.#clear()
    for (const name of WHOLE) if (chunk[name] != null) this.snapshot[name] = chunk[name]
    const events = [['chunk', chunk, this.snapshot]]
    for (const part of chunk.choices) {
      const choice = this.#choice(part.index)
      const before = choice.message.tool_calls?.length ?? 0
      grow(choice, part)
      events.push(...deltas(choice, part))
      const calls = choice.message.tool_calls ?? []
      // A call is whole when the next begins, or its choice ends.
      const whole = part.finish_reason ? calls : calls.length > Math.max(before, 1) ? calls.slice(0, -1) : []
      for (const call of whole) events.push(...(await this.#fitting(this.#calledDone(choice, call))))
      if (part.finish_reason) events.push(...(await this.#fitting(this.#done(choice))))
    }
    return events
  }

  /** The whole answer, read. */
  async final() {
    for (const { message } of this.snapshot.choices) for (const call of message.tool_calls ?? []) delete call.index
    return this.#fitting(readAnswer(this.snapshot, this.#read, this.#readers, Boolean(this.#read) || this.#readers.size > 0))
  }

  /** What has been shown is not asked for again: a text that does not fit is an error. */
  async #fitting(reading) {
    try {
      return await reading
    } catch (unfit) {
      throw unfit instanceof Unfit ? failed(unfit, this.snapshot) : unfit
    }
  }

  #choice(index) {
    const { choices } = this.snapshot
    const known = choices.find((choice) => choice.index === index)
    if (known) return known
    const choice = { index, message: { role: 'assistant', content: null }, finish_reason: null }
    choices.push(choice)
    choices.sort((one, other) => one.index - other.index)
    return choice
  }

  async #calledDone(choice, { index, function: called }) {
    if (!this.#isFirst(choice, `call ${index}`)) return []
    const parsed_arguments = isCut(choice) ? null : await readArguments(this.#readers, called)
    return [['tool_calls.function.arguments.done', { name: called.name, index, arguments: called.arguments, parsed_arguments }]]
  }

  async #done(choice) {
    const { message, logprobs } = choice
    const events = []
    if (message.content && this.#isFirst(choice, 'content')) {
      const parsed = this.#read && !isCut(choice) ? await readMessage(this.#read, message) : null
      events.push(['content.done', { content: message.content, parsed }])
    }
    if (message.refusal && this.#isFirst(choice, 'refusal')) events.push(['refusal.done', { refusal: message.refusal }])
    for (const name of ['content', 'refusal']) {
      if (logprobs?.[name] && this.#isFirst(choice, `logprobs ${name}`)) events.push([`logprobs.${name}.done`, { [name]: logprobs[name] }])
    }
    return events
  }

  #isFirst({ index }, what) {
    const known = this.#told.has(`${index} ${what}`)
    this.#told.add(`${index} ${what}`)
    return !known
  }
}

const isCut = ({ finish_reason }) => finish_reason === 'length' || finish_reason === 'content_filter'

function grow(choice, { delta, finish_reason, logprobs }) {
  for (const [name, value] of Object.entries(delta)) {
    if (name === 'tool_calls') for (const part of value ?? []) growCall((choice.message.tool_calls ??= []), part)
    else if (value != null) join(choice.message, name, value)
  }
  if (finish_reason) choice.finish_reason = finish_reason
  for (const [name, tokens] of Object.entries(logprobs ?? {})) {
    if (tokens?.length) join((choice.logprobs ??= { content: null }), name, tokens)
  }
}

function growCall(calls, { function: called, ...part }) {
  let call = calls.find(({ index }) => index === part.index)
  if (!call) calls.push((call = { index: part.index, id: '', type: 'function', function: { name: '', arguments: '' } }))
  for (const [name, value] of Object.entries(part)) if (value != null) call[name] = value
  for (const [name, text] of Object.entries(called ?? {})) if (text != null) join(call.function, name, text)
}

function join(into, name, value) {
  const before = into[name]
  if (TEXTS.has(name) && typeof before === 'string') into[name] = before + value
  else if (Array.isArray(before) && Array.isArray(value)) into[name] = [...before, ...value]
  else into[name] = value
}

function deltas({ message, logprobs: all }, { delta, logprobs }) {
  const events = []
  if (delta.content) {
    events.push(['content', delta.content, message.content])
    events.push(['content.delta', { delta: delta.content, snapshot: message.content, parsed: null }])
  }
  if (delta.refusal) events.push(['refusal.delta', { delta: delta.refusal, snapshot: message.refusal }])
  for (const part of delta.tool_calls ?? []) {
    const { index, function: called } = message.tool_calls.find(({ index }) => index === part.index)
    const arguments_delta = part.function?.arguments ?? ''
    const told = { name: called.name, index, arguments: called.arguments, parsed_arguments: null, arguments_delta }
    events.push(['tool_calls.function.arguments.delta', told])
  }
  for (const name of ['content', 'refusal']) {
    if (logprobs?.[name]?.length) events.push([`logprobs.${name}.delta`, { [name]: logprobs[name], snapshot: all[name] }])
  }
  return events
}

module.exports = { Gathered }

// Turns a scripted answer into what the connection does. The form is OpenAI's: chat completions and embeddings.
'use strict'

/** A fixed moment, so that two runs of a script give the same bytes. */
const CREATED = 1_700_000_000
const DONE = { send: Buffer.from('data: [DONE]\n\n') }

/** Content type, whether it is a stream (without a known length), the length to announce, and what to do. */
function plan(response, request, serial) {
  const made = body(response, request ?? {}, serial)
  const length = made.actions.reduce((sum, { send }) => sum + (send?.length ?? 0), 0)
  const actions = response.cut_after === undefined ? made.actions : cut(made.actions, response.cut_after)
  return { ...made, length, actions }
}

function body(response, request, serial) {
  if (response.answer !== undefined || response.tool_calls !== undefined) {
    const { breaks } = response
    const then = breaks ? steps(breaks.then ?? []) : []
    if (request.stream === true) {
      const actions = chunks(response, request, serial).map((chunk) => ({ send: event(chunk) }))
      // The first chunk tells the role alone.
      if (breaks) actions.splice(1 + breaks.after, breaks.skip ?? 0, ...then)
      if (response.done !== false) actions.push(DONE)
      return { type: 'text/event-stream', streams: true, actions: spaced(actions, response) }
    }
    const text = Buffer.from(JSON.stringify(whole(response, request, serial)))
    if (!breaks) return document(text)
    const count = Math.max(1, words(response.answer).length)
    const at = Math.floor((text.length * Math.min(breaks.after, count)) / count)
    return { ...document(text), actions: [{ send: text.subarray(0, at) }, ...then, { send: text.subarray(at) }] }
  }
  if (response.embeddings !== undefined) return document(Buffer.from(JSON.stringify(embedded(response, request))))
  if (response.json !== undefined) return document(Buffer.from(JSON.stringify(response.json)))
  if (response.sse !== undefined) {
    const actions = response.sse.map((item) => ({ send: event(item) }))
    if (response.done === true) actions.push(DONE)
    return { type: 'text/event-stream', streams: true, actions: spaced(actions, response) }
  }
  if (response.steps !== undefined) return { type: 'application/octet-stream', streams: true, actions: steps(response.steps) }
  return { ...document(Buffer.from(response.body ?? '')), type: 'text/plain; charset=utf-8' }
}

const document = (bytes) => ({ type: 'application/json', streams: false, actions: [{ send: bytes }] })

function whole(response, request, serial) {
  const tools = calls(response)
  const message = { role: 'assistant', content: response.answer ?? null, ...(tools.length ? { tool_calls: tools } : {}) }
  const choices = [{ index: 0, message, logprobs: null, finish_reason: finishReason(response) }]
  return { ...envelope('chat.completion', request, serial), choices, usage: usage(response, request) }
}

/** Role, one chunk per word, tool calls in pieces, finish reason, usage. */
function chunks(response, request, serial) {
  const shell = envelope('chat.completion.chunk', request, serial)
  const chunk = (delta, finish = null) => ({ ...shell, choices: [{ index: 0, delta, finish_reason: finish }] })
  const made = [chunk({ role: 'assistant', content: '' })]
  for (const word of words(response.answer ?? '')) made.push(chunk({ content: word }))
  for (const [index, call] of calls(response).entries()) {
    made.push(chunk({ tool_calls: [{ index, ...call, function: { ...call.function, arguments: '' } }] }))
    for (const piece of words(call.function.arguments)) {
      made.push(chunk({ tool_calls: [{ index, function: { arguments: piece } }] }))
    }
  }
  made.push(chunk({}, finishReason(response)))
  const counted = usage(response, request)
  if (counted) made.push({ ...shell, choices: [], usage: counted })
  return made
}

const envelope = (object, request, serial) => ({ id: `chatcmpl-${serial}`, object, created: CREATED, model: request.model ?? null })

function calls(response) {
  return (response.tool_calls ?? []).map(({ id, name, arguments: given }, index) => {
    const text = typeof given === 'string' ? given : JSON.stringify(given)
    return { id: id ?? `call_${index}`, type: 'function', function: { name, arguments: text } }
  })
}

const finishReason = (response) => response.finish_reason ?? (response.tool_calls?.length ? 'tool_calls' : 'stop')

/** Counted words, so that usage is a function of script and request; fields of the script replace the counts. */
function usage(response, request) {
  if (response.usage === false) return undefined
  const fields = typeof response.usage === 'object' ? response.usage : {}
  const prompt_tokens = fields.prompt_tokens ?? wordsIn(request.messages)
  const completion_tokens = fields.completion_tokens ?? words(response.answer ?? '').length + (response.tool_calls ?? []).length
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, ...fields }
}

function embedded(response, request) {
  const given = request.input
  // One text, or one list of tokens, is one input.
  const inputs = Array.isArray(given) && typeof given[0] !== 'number' ? given : [given]
  const data = inputs.map((_, index) => {
    const vector = response.embeddings[Math.min(index, response.embeddings.length - 1)]
    const embedding = request.encoding_format === 'base64' ? base64(vector) : vector
    return { object: 'embedding', index, embedding }
  })
  const count = wordsIn(inputs)
  return { object: 'list', data, model: request.model ?? null, usage: { prompt_tokens: count, total_tokens: count } }
}

function base64(vector) {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4)
  return bytes.toString('base64')
}

function wordsIn(value) {
  if (typeof value === 'string') return words(value).length
  if (value === null || typeof value !== 'object') return 0
  return Object.values(value).reduce((sum, each) => sum + wordsIn(each), 0)
}

/** Word-ish pieces, each with the blank before it: joined they are the text again. */
const words = (text) => text.match(/\s*\S+(?:\s+$)?|\s+$/g) ?? []

/** One server-sent event. */
function event(item) {
  const isEvent =
    item !== null && typeof item === 'object' && Object.keys(item).length > 0 && Object.keys(item).every((key) => ['event', 'data', 'id'].includes(key))
  const fields = isEvent ? item : { data: item }
  let lines = ''
  for (const name of ['id', 'event', 'data']) {
    if (fields[name] === undefined) continue
    const text = typeof fields[name] === 'string' ? fields[name] : JSON.stringify(fields[name])
    for (const line of text.split('\n')) lines += `${name}: ${line}\n`
  }
  return Buffer.from(`${lines}\n`)
}

function spaced(actions, { chunk_delay_ms: pause }) {
  return pause ? actions.flatMap((action, at) => (at ? [{ delay: pause }, action] : [action])) : actions
}

function steps(given) {
  return given.flatMap((step) => {
    const [[name, value]] = Object.entries(step)
    if (name === 'send') return [{ send: Buffer.from(value) }]
    if (name === 'delay_ms') return [{ delay: value }]
    return value ? [{ [name]: true }] : []
  })
}

function cut(actions, left) {
  const made = []
  for (const action of actions) {
    if (action.send) {
      if (action.send.length > left) return [...made, { send: action.send.subarray(0, left) }, { close: true }]
      left -= action.send.length
    }
    made.push(action)
  }
  return made
}

module.exports = { plan }

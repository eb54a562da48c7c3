// Functions as tools of a model, and the loop that calls them.
'use strict'

const { BudgetExceededError, InterfuseError } = require('./errors.cjs')
const { aborted } = require('./raise.cjs')
const { strict } = require('./strict.cjs')
const { Spent, Unfit, asking, isSchema, jsonSchema, named, readOf, reader, thrown, withReader } = require('./structured.cjs')
const { MaxStepsError, SchemaError, carrying } = require('./typed-errors.cjs')

const MAX_STEPS = 10

/** Where a tool keeps its function. */
const CALL = Symbol.for('interfuse.call')

/**
 * A tool out of a function whose arguments a schema tells and validates. It is sent as strict where the strict subset holds the
 * schema and no argument may be left out. Throws `SchemaError` for a schema that is no JSON Schema.
 */
function standardFunction({ name, parameters, description, schema: written, function: call }) {
  if (!isSchema(parameters)) throw new TypeError(`the parameters of ${name} are no Standard Schema (zod, valibot, arktype, ...)`)
  const given = written ?? jsonSchema(parameters, name)
  const about = description ?? given.description
  const tool = { type: 'function', function: { name: named(name), ...(about && { description: about }), ...held(given, name) } }
  withReader(tool, reader(parameters, given))
  return call ? Object.defineProperty(tool, CALL, { value: call }) : tool
}

/** The parameters as they are sent. */
function held(given, name) {
  const { $schema: _, ...parameters } = given
  const isComplete = Object.keys(given.properties ?? {}).every((property) => given.required?.includes(property))
  if (!isComplete) return { parameters }
  try {
    return { strict: true, parameters: strict(given, name, name) }
  } catch (error) {
    // Such as an object with any keys, which a tool that is not strict may take.
    if (!(error instanceof SchemaError)) throw error
    return { parameters }
  }
}

/** What a tool calls with what it read, by name; of `standardFunction`, of OpenAI's helpers, or as OpenAI's `runTools` takes them. */
function callable(tools) {
  const known = new Map()
  for (const tool of tools ?? []) {
    const name = tool?.function?.name
    const call = tool?.[CALL] ?? tool?.$callback ?? tool?.function?.function
    if (typeof call === 'function') {
      if (known.has(name)) throw new TypeError(`two tools are called ${JSON.stringify(name)}; give one another name`)
      const { parse } = tool.function
      // As OpenAI has it: without something that reads them, arguments are the text itself.
      known.set(name, { call, read: readOf(tool) ?? (parse ? thrown(parse) : async (text) => text) })
    } else if ((tool?.type ?? 'function') === 'function') {
      const made = 'make it by standardFunction({ function })'
      throw new TypeError(`runTools calls functions, and the tool ${JSON.stringify(name)} has none; ${made}`)
    }
  }
  return known
}

/**
 * Asks a model that may call functions, calls them and tells it what came, until it answers without calling any. `ask` makes a
 * call; `signal` ends the whole, functions that listen to it among it.
 */
async function running(given, { maxSteps = MAX_STEPS, maxReasks, signal }, ask) {
  if (!(Number.isInteger(maxSteps) && maxSteps >= 1)) throw new RangeError(`maxSteps is 1 or more, not ${maxSteps}`)
  if (given.stream) throw new TypeError('runTools gives a whole result; leave stream out')
  const tools = callable(given.tools)
  const { prompt, ...request } = given
  const messages = prompt === undefined ? [...given.messages] : [{ role: 'user', content: prompt }]
  const spent = new Spent(request)
  const run = { text: null, parsed: null, completion: null, messages, steps: 0, calls: [], ...spent.cost() }
  const paid = () => {
    for (const name of ['cost_nanos', 'cost_usd']) delete run[name]
    Object.assign(run, spent.cost())
  }
  try {
    while (!(await step())) if (run.steps === maxSteps) throw tooMany(maxSteps)
    return run
  } catch (error) {
    if (!(error instanceof InterfuseError)) throw error
    spent.tell(error)
    paid()
    throw carrying(error, 'run', run)
  }

  /** Asks once, and makes the calls of the answer; whether it made none. */
  async function step() {
    if (!spent.left()) throw noMore()
    const answer = await stepped(spent.limited({ ...request, messages: [...messages] }), maxReasks, ask)
    spent.add(answer)
    paid()
    const { message } = answer.choices[0]
    messages.push(message)
    run.steps += 1
    Object.assign(run, { completion: answer, text: message.content ?? null })
    const wanted = (message.tool_calls ?? []).filter((call) => call.function)
    if (!wanted.length) run.parsed = message.parsed ?? null
    const results = await unlessAborted(Promise.all(wanted.map((call) => made(tools, call.function, signal))), signal)
    for (const [at, { id, function: { name, arguments: text } }] of wanted.entries()) {
      const { result, error } = results[at]
      run.calls.push({ name, arguments: text, result, error })
      messages.push({ role: 'tool', tool_call_id: id, content: error === null ? result : `error: ${error}` })
    }
    return !wanted.length
  }
}

function tooMany(maxSteps) {
  const message = `the model still called tools after ${maxSteps} steps; raise maxSteps, or go on with run.messages`
  return new MaxStepsError({ kind: 'budget_exceeded', message, retryable: false })
}

function noMore() {
  const why = 'the time is over, or the cost of a step is unknown and with it what is left of max_cost_usd'
  return new BudgetExceededError({ kind: 'budget_exceeded', message: `no further step is made: ${why}`, retryable: false })
}

/** One step: the answer, read where there is something to read it. Arguments are read where their function is called. */
function stepped(request, maxReasks, ask) {
  const { response_format: format } = request
  return isSchema(format) || readOf(format) ? asking(request, maxReasks, ask, new Map()) : ask(request)
}

/** Calls a tool. What it throws is told to the model, too. */
async function made(tools, { name, arguments: text }, signal) {
  const tool = tools.get(name)
  if (!tool) return { result: null, error: `there is no tool ${JSON.stringify(name)}; there are ${[...tools.keys()].join(', ')}` }
  try {
    const value = await tool.call(await tool.read(text || '{}'), { signal })
    return { result: typeof value === 'string' ? value : JSON.stringify(value) ?? 'null', error: null }
  } catch (error) {
    if (error instanceof Unfit) return { result: null, error: `the arguments do not fit: ${error.problems.join('; ')}` }
    return { result: null, error: `${error?.name ?? 'Error'}: ${error?.message ?? error}` }
  }
}

/** What a promise gives, unless the signal is aborted before. */
function unlessAborted(promise, signal) {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(aborted(signal))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

module.exports = { running, standardFunction }

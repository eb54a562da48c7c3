// A chat's answer as the AI SDK, specification V3, wants it: whole, or as parts of a stream.
'use strict'

const { interrupted } = require('./raise.cjs')

const REASONS = { stop: 'stop', length: 'length', tool_calls: 'tool-calls', function_call: 'tool-calls', content_filter: 'content-filter' }

/** What an answer holds, in the SDK's words. */
function generated({ choices: [{ message, finish_reason }], usage: used, interfuse, ...answer }) {
  const content = []
  if (message.reasoning_content) content.push({ type: 'reasoning', text: message.reasoning_content })
  if (message.content) content.push({ type: 'text', text: message.content })
  if (message.refusal) content.push({ type: 'text', text: message.refusal })
  for (const { id, function: called } of message.tool_calls ?? []) {
    if (called) content.push({ type: 'tool-call', toolCallId: id, toolName: called.name, input: called.arguments })
  }
  if (message.provider_state && content.length) content.at(-1).providerMetadata = state(message.provider_state)
  return {
    content,
    finishReason: finish(finish_reason, message.refusal),
    usage: usage(used),
    providerMetadata: metadata(interfuse),
    response: identity(answer),
  }
}

/** Chunks as parts. */
class Parts {
  #open
  #blocks = 0
  #calls = new Map()
  #state = []
  #reason = null
  #refused = false
  #usage
  #interfuse
  #told = false;

  /** The parts of one chunk. */
  *of(chunk) {
    if (!this.#told) {
      this.#told = true
      yield { type: 'response-metadata', ...identity(chunk) }
    }
    if (chunk.usage) this.#usage = chunk.usage
    if (chunk.interfuse?.reset) {
      // What was shown cannot be taken back; an answer that goes on after it would be a wrong one.
      if (this.#blocks || this.#calls.size) {
        throw interrupted(
          'the answer began anew after a part of it was shown, and a stream of the AI SDK cannot take that back: ask again, or with generateText',
          chunk.interfuse.reset,
        )
      }
    } else if (chunk.interfuse) {
      this.#interfuse = chunk.interfuse
    }
    const first = chunk.choices.find(({ index }) => index === 0)
    if (!first) return
    const { delta, finish_reason } = first
    if (finish_reason != null) this.#reason = finish_reason
    if (delta.provider_state) this.#state.push(...delta.provider_state)
    if (delta.reasoning_content) yield* this.#words('reasoning', delta.reasoning_content)
    if (delta.content) yield* this.#words('text', delta.content)
    if (delta.refusal) {
      this.#refused = true
      yield* this.#words('text', delta.refusal)
    }
    for (const part of delta.tool_calls ?? []) yield* this.#call(part)
  }

  *#words(kind, delta) {
    if (this.#open?.kind !== kind) {
      yield* this.#close()
      this.#open = { kind, id: String(this.#blocks++) }
      yield { type: `${kind}-start`, id: this.#open.id }
    }
    yield { type: `${kind}-delta`, id: this.#open.id, delta }
  }

  *#close(providerMetadata) {
    if (this.#open) yield { type: `${this.#open.kind}-end`, id: this.#open.id, ...(providerMetadata && { providerMetadata }) }
    this.#open = undefined
  }

  *#call({ index, id, function: { name, arguments: input = '' } = {} }) {
    let call = this.#calls.get(index)
    if (!call) {
      yield* this.#close()
      call = { id, name, input: '' }
      this.#calls.set(index, call)
      yield { type: 'tool-input-start', id, toolName: name }
    }
    call.input += input
    if (input) yield { type: 'tool-input-delta', id: call.id, delta: input }
  }

  /** The parts that end the stream. */
  *end() {
    const own = this.#state.length ? state(this.#state) : undefined
    const calls = [...this.#calls.values()]
    yield* this.#close(own)
    for (const [at, { id, name, input }] of calls.entries()) {
      yield { type: 'tool-input-end', id }
      yield { type: 'tool-call', toolCallId: id, toolName: name, input, ...(own && at === calls.length - 1 && { providerMetadata: own }) }
    }
    yield { type: 'finish', finishReason: finish(this.#reason, this.#refused), usage: usage(this.#usage), providerMetadata: metadata(this.#interfuse) }
  }

  /** The parts that end a stream that failed. */
  *failed(error) {
    yield* this.#close()
    yield { type: 'error', error }
    yield { type: 'finish', finishReason: { unified: 'error', raw: undefined }, usage: usage(this.#usage), providerMetadata: metadata(this.#interfuse) }
  }
}

const state = (provider_state) => ({ interfuse: { provider_state } })

const metadata = (interfuse) => (interfuse ? { interfuse } : undefined)

const identity = ({ id, model, created }) => ({ id, modelId: model, timestamp: new Date(created * 1000) })

function finish(raw, refusal) {
  const unified = raw === 'stop' && refusal ? 'content-filter' : (REASONS[raw] ?? 'other')
  return { unified, raw: raw ?? undefined }
}

/** What is not told is not known. */
function usage(used) {
  const [prompt, answer] = [used?.prompt_tokens_details, used?.completion_tokens_details]
  const [read, written, reasoning] = [prompt?.cached_tokens, prompt?.cache_write_tokens, answer?.reasoning_tokens]
  return {
    inputTokens: { total: used?.prompt_tokens, noCache: read === undefined ? undefined : used.prompt_tokens - read - (written ?? 0), cacheRead: read, cacheWrite: written },
    outputTokens: { total: used?.completion_tokens, text: reasoning === undefined ? undefined : used.completion_tokens - reasoning, reasoning },
    raw: used,
  }
}

module.exports = { Parts, generated, metadata }

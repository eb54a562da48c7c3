// Interfuse as a provider of the AI SDK, specification V3, which ai 6 and 7 take. It needs none of the SDK's packages.
'use strict'

const { Parts, generated, metadata } = require('./ai-answer.cjs')
const { asked, callOptions, chatRequest } = require('./ai-request.cjs')
const { Interfuse } = require('./client.cjs')
const { APIError, STATUS } = require('./errors.cjs')
const { misuse } = require('./raise.cjs')

/** Embeddings of one call: no vendor takes fewer at a time. */
const EMBEDDINGS = 96

/** How the SDK knows its own kind of error, whichever copy of it asks. */
const MARKERS = ['vercel.ai.error', 'vercel.ai.error.AI_APICallError'].map((name) => Symbol.for(name))

/** A provider over `client`, or over a new client with these options, made when it is first used. */
function createInterfuse({ client, ...options } = {}) {
  const open = () => (client ??= new Interfuse(options))
  const languageModel = (modelId) => chatModel(open, modelId)
  const embeddings = (modelId) => embeddingModel(open, modelId)
  const none = (what) => () => {
    throw misuse(`interfuse has no ${what} for the AI SDK; it has languageModel and embeddingModel`)
  }
  return Object.assign((modelId) => languageModel(modelId), {
    specificationVersion: 'v3',
    languageModel,
    embeddingModel: embeddings,
    textEmbeddingModel: embeddings,
    imageModel: none('imageModel'),
  })
}

function chatModel(open, modelId) {
  return {
    specificationVersion: 'v3',
    provider: 'interfuse',
    modelId,
    /** Images at addresses are interfuse's to fetch, which does so from public ones only. */
    supportedUrls: { 'image/*': [/^https?:\/\//] },
    async doGenerate(options) {
      const { request, warnings } = chatRequest(modelId, options)
      const answer = await known(request, () => open().chat.completions.create(request, callOptions(options)))
      const dropped = (answer.interfuse?.dropped ?? []).map((feature) => ({ type: 'unsupported', feature, details: 'this backend does not take it' }))
      return { ...generated(answer), request: { body: request }, warnings: [...warnings, ...dropped] }
    },
    async doStream(options) {
      const { request, warnings } = chatRequest(modelId, options)
      const body = { stream_options: { include_usage: true }, ...request, stream: true }
      const stream = await known(body, () => open().chat.completions.create(body, callOptions(options)))
      return { stream: parts(stream, { body, warnings, raw: options.includeRawChunks }), request: { body } }
    },
  }
}

/** The SDK's parts out of chunks, as they come. */
function parts(stream, { body, warnings, raw }) {
  const made = new Parts()
  let closed = false
  return new ReadableStream({
    start(controller) {
      controller.enqueue({ type: 'stream-start', warnings })
    },
    async pull(controller) {
      const give = (some) => {
        for (const part of some) controller.enqueue(part)
      }
      try {
        // A chunk may hold nothing to show.
        for (let before = controller.desiredSize; controller.desiredSize === before && !closed; ) {
          const { value, done } = await known(body, () => stream.next())
          if (closed) return
          if (done) {
            give(made.end())
            closed = true
            return controller.close()
          }
          if (raw) controller.enqueue({ type: 'raw', rawValue: value })
          give(made.of(value))
        }
      } catch (error) {
        if (closed) return
        closed = true
        await stream.return()
        if (error?.name === 'AbortError') return controller.error(error)
        give(made.failed(error))
        controller.close()
      }
    },
    async cancel() {
      closed = true
      await stream.return()
    },
  })
}

function embeddingModel(open, modelId) {
  return {
    specificationVersion: 'v3',
    provider: 'interfuse',
    modelId,
    maxEmbeddingsPerCall: EMBEDDINGS,
    supportsParallelCalls: true,
    async doEmbed({ values, ...options }) {
      const request = { ...asked(options), model: modelId, input: values, encoding_format: 'float' }
      const { data, usage, interfuse } = await known(request, () => open().embeddings.create(request, callOptions(options)))
      return {
        embeddings: data.map(({ embedding }) => embedding),
        usage: usage && { tokens: usage.prompt_tokens },
        providerMetadata: metadata(interfuse),
        warnings: [],
      }
    },
  }
}

/** Runs a call whose failure is one of the SDK's `APICallError` too, which it does not try again: interfuse has done so. */
async function known(request, call) {
  try {
    return await call()
  } catch (error) {
    if (error instanceof APIError) {
      const told = {
        url: 'interfuse:',
        requestBodyValues: request,
        statusCode: error.status ?? STATUS[error.kind],
        responseBody: error.body,
        isRetryable: false,
        data: error.toJSON(),
      }
      for (const marker of MARKERS) Object.defineProperty(error, marker, { value: true, configurable: true })
      // Not enumerable: what is printed of the error is interfuse's.
      for (const [name, value] of Object.entries(told)) Object.defineProperty(error, name, { value, configurable: true, writable: true })
    }
    throw error
  }
}

/** With every vendor's usual key variables, or the file that INTERFUSE_CONFIG names. */
const interfuse = createInterfuse()

module.exports = { createInterfuse, interfuse }

// A call of the AI SDK, specification V3, as a chat request.
'use strict'

const { unsupported } = require('./raise.cjs')

/** Headers that the AI SDK adds by itself, which are not the vendor's to see. */
const OWN_HEADERS = ['user-agent']

/** The request, and what of the call it cannot carry, as warnings. */
function chatRequest(model, options) {
  const [tools, warnings] = functions(options.tools)
  const request = {
    model,
    messages: options.prompt.flatMap(message),
    max_completion_tokens: options.maxOutputTokens,
    temperature: options.temperature,
    top_p: options.topP,
    top_k: options.topK,
    presence_penalty: options.presencePenalty,
    frequency_penalty: options.frequencyPenalty,
    stop: options.stopSequences?.length ? options.stopSequences : undefined,
    seed: options.seed,
    tools,
    tool_choice: tools && choice(options.toolChoice),
    response_format: format(options.responseFormat),
    // Said by ai 7, also to models of this specification.
    reasoning_effort: options.reasoning === 'provider-default' ? undefined : options.reasoning,
    // Else the SDK would, from anywhere and through redirects; see `supportedUrls`.
    fetch_images: true,
    ...asked(options),
  }
  for (const [name, value] of Object.entries(request)) if (value === undefined) delete request[name]
  return { request, warnings }
}

/** What `providerOptions.interfuse` asks for; what the SDK has words for is said in these. */
function asked({ providerOptions }) {
  const { model: _model, messages: _messages, stream: _stream, ...rest } = providerOptions?.interfuse ?? {}
  return rest
}

/** Further fields of a message, a part or a tool, such as `cache_control`. */
function fields({ providerOptions }) {
  const { provider_state: _state, ...rest } = providerOptions?.interfuse ?? {}
  return rest
}

/** Options of the call, as interfuse's client takes them. */
function callOptions({ abortSignal, headers = {} }) {
  const own = Object.entries(headers).filter(([name, value]) => value !== undefined && !OWN_HEADERS.includes(name.toLowerCase()))
  return { signal: abortSignal, headers: own.length ? Object.fromEntries(own) : undefined }
}

function functions(tools = []) {
  const known = tools.filter(({ type }) => type === 'function')
  const warnings = tools
    .filter(({ type }) => type !== 'function')
    .map(({ id }) => ({ type: 'unsupported', feature: `tool ${id}`, details: 'only functions are passed to vendors' }))
  if (known.length === 0) return [undefined, warnings]
  const told = known.map(({ name, description, inputSchema, strict, ...tool }) => ({
    type: 'function',
    function: { name, description, parameters: inputSchema, ...(strict === undefined ? {} : { strict }) },
    ...fields(tool),
  }))
  return [told, warnings]
}

function choice(toolChoice) {
  return toolChoice?.type === 'tool' ? { type: 'function', function: { name: toolChoice.toolName } } : toolChoice?.type
}

function format(responseFormat) {
  if (responseFormat?.type !== 'json') return undefined
  const { schema, name = 'response', description } = responseFormat
  return schema ? { type: 'json_schema', json_schema: { name, description, schema, strict: true } } : { type: 'json_object' }
}

/** The messages that one of the prompt's stands for. */
function message({ role, content, ...rest }) {
  const own = fields(rest)
  switch (role) {
    case 'system':
      return [{ role, content, ...own }]
    case 'user':
      return [{ role, content: plain(content) ?? content.map(part), ...own }]
    case 'assistant':
      return [{ ...assistant(content), ...own }]
    case 'tool':
      // An approval is answered by what the tool then gives, or by its denial, which is a result too.
      return content
        .filter(({ type }) => type === 'tool-result')
        .map(({ toolCallId, output, ...rest }) => ({ role, tool_call_id: toolCallId, content: result(output), ...own, ...fields(rest) }))
    default:
      throw unsupported(`messages of the role ${JSON.stringify(role)} cannot be passed to vendors`)
  }
}

/** The text, where a message is nothing more. */
function plain(content) {
  const [only, ...more] = content
  return only?.type === 'text' && more.length === 0 && Object.keys(fields(only)).length === 0 ? only.text : undefined
}

function assistant(content) {
  const text = content.filter(({ type }) => type === 'text').map(({ text }) => text).join('')
  const reasoning = content.filter(({ type }) => type === 'reasoning').map(({ text }) => text).join('')
  const calls = content.filter(({ type }) => type === 'tool-call')
  const other = content.find(({ type }) => !['text', 'reasoning', 'tool-call'].includes(type))
  if (other) throw unsupported(`a part of the type ${JSON.stringify(other.type)} in an assistant's message cannot be passed to vendors`)
  // What the vendor wants back word for word travels on one of the parts.
  const state = content.flatMap(({ providerOptions }) => providerOptions?.interfuse?.provider_state ?? [])
  return {
    role: 'assistant',
    content: text || (calls.length ? null : ''),
    ...(reasoning && { reasoning_content: reasoning }),
    ...(calls.length && { tool_calls: calls.map(toolCall) }),
    ...(state.length && { provider_state: state }),
  }
}

function toolCall({ toolCallId, toolName, input }) {
  return { id: toolCallId, type: 'function', function: { name: toolName, arguments: typeof input === 'string' ? input : JSON.stringify(input ?? {}) } }
}

/** What a tool gave: text, or parts where there are images. */
function result(output) {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value
    case 'json':
    case 'error-json':
      return JSON.stringify(output.value)
    case 'execution-denied':
      return output.reason ?? 'The execution of this tool was denied.'
    case 'content':
      return output.value.map(resultPart)
    default:
      throw unsupported(`a tool result of the type ${JSON.stringify(output.type)} cannot be passed to vendors`)
  }
}

function resultPart(value) {
  switch (value.type) {
    case 'text':
      return { type: 'text', text: value.text }
    case 'image-data':
    case 'file-data':
      return part({ type: 'file', mediaType: value.mediaType, data: value.data, filename: value.filename })
    case 'image-url':
      return part({ type: 'file', mediaType: 'image/*', data: new URL(value.url) })
    default:
      throw unsupported(`a tool result with a part of the type ${JSON.stringify(value.type)} cannot be passed to vendors`)
  }
}

/** One part of a user's message. */
function part(given) {
  return { ...shown(given), ...fields(given) }
}

function shown({ type, text, mediaType, data, filename }) {
  if (type === 'text') return { type, text }
  // ai 7 gives texts this way.
  if (data?.type === 'text') return { type: 'text', text: data.text }
  const url = data instanceof URL
  if (mediaType.startsWith('image/')) return { type: 'image_url', image_url: { url: url ? data.href : dataUrl(mediaType, data) } }
  if (!url && (typeof data === 'string' || data instanceof Uint8Array)) {
    const format = { 'audio/wav': 'wav', 'audio/x-wav': 'wav', 'audio/mpeg': 'mp3', 'audio/mp3': 'mp3' }[mediaType]
    if (format) return { type: 'input_audio', input_audio: { data: base64(data), format } }
    if (mediaType === 'application/pdf') return { type: 'file', file: { filename: filename ?? 'document.pdf', file_data: dataUrl(mediaType, data) } }
    if (mediaType.startsWith('text/')) return { type: 'text', text: typeof data === 'string' ? Buffer.from(data, 'base64').toString() : Buffer.from(data).toString() }
  }
  throw unsupported(`a file of the type ${JSON.stringify(mediaType)}${url ? ' given by its address' : ''} cannot be passed to vendors`)
}

const dataUrl = (mediaType, data) => `data:${mediaType === 'image/*' ? 'image/jpeg' : mediaType};base64,${base64(data)}`

/** Text is base64 already. */
const base64 = (data) => (typeof data === 'string' ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'))

module.exports = { asked, callOptions, chatRequest }

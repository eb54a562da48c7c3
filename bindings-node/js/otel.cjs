// Spans and metrics of OpenTelemetry for a client's calls, by the semantic conventions for generative AI as they were last
// released (1.41). Tokens and cost stand on the span of the call only, so that a sum over spans counts them once.
'use strict'

const { SpanKind, SpanStatusCode, context, metrics, trace } = require('@opentelemetry/api')

const { version } = require('../package.json')
const { observe } = require('./client.cjs')

/** The conventions' names of operations; the others are workflows of several calls. */
const OPERATIONS = { chat: 'chat', embeddings: 'embeddings' }

/** The conventions' names of providers, where they are not ours. */
const PROVIDERS = {
  azure: 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  gemini: 'gcp.gemini',
  mistral: 'mistral_ai',
  moonshotai: 'moonshot_ai',
  vertex: 'gcp.vertex_ai',
  'vertex-express': 'gcp.vertex_ai',
  xai: 'x_ai',
}

/** Who answers, as long as nobody has. */
const OURSELVES = 'interfuse'

/** Attributes of a request, by its fields. */
const REQUEST = {
  temperature: 'gen_ai.request.temperature',
  top_p: 'gen_ai.request.top_p',
  frequency_penalty: 'gen_ai.request.frequency_penalty',
  presence_penalty: 'gen_ai.request.presence_penalty',
  seed: 'gen_ai.request.seed',
  top_k: 'gen_ai.request.top_k',
  session_id: 'gen_ai.conversation.id',
  dimensions: 'gen_ai.embeddings.dimension.count',
}

/** Has each call of a client make a span in the active context, and count in the metrics. Gives the client. */
function instrument(client, { tracerProvider = trace, meterProvider = metrics } = {}) {
  const tracer = tracerProvider.getTracer('interfuse', version)
  const meter = meterProvider.getMeter('interfuse', version)
  const powers = (first, by) => Array.from({ length: 14 }, (_, n) => first * by ** n)
  const instruments = {
    duration: meter.createHistogram('gen_ai.client.operation.duration', {
      unit: 's', description: 'GenAI operation duration.', advice: { explicitBucketBoundaries: powers(0.01, 2) },
    }),
    tokens: meter.createHistogram('gen_ai.client.token.usage', {
      unit: '{token}', description: 'Number of input and output tokens used.', advice: { explicitBucketBoundaries: powers(1, 4) },
    }),
  }
  observe(client, (operation, request) => new Call(tracer, instruments, operation, request))
  return client
}

/** The course of one call. */
class Call {
  #tracer
  #instruments
  #context = context.active()
  #span
  /** What stands in the metrics. */
  #labels
  #began = performance.now()
  #isChat
  /** What has come of a stream. */
  #seen = {}
  #isOver = false

  constructor(tracer, instruments, operation, request) {
    this.#tracer = tracer
    this.#instruments = instruments
    this.#isChat = operation === 'chat'
    const known = OPERATIONS[operation]
    const model = known && request.model
    this.#labels = present({
      'gen_ai.operation.name': known ?? 'invoke_workflow',
      'gen_ai.provider.name': OURSELVES,
      'gen_ai.request.model': model,
    })
    const name = [known ?? 'invoke_workflow', known ? model : operation].filter(Boolean).join(' ')
    const attributes = { ...this.#labels, ...asked(request), ...(!known && { 'gen_ai.workflow.name': operation }) }
    this.#span = tracer.startSpan(name, { kind: known ? SpanKind.CLIENT : SpanKind.INTERNAL, attributes }, this.#context)
  }

  /** A whole answer has come. */
  answered(answer) {
    this.#end(() => this.#tell(answer))
  }

  /** An item of a stream has come: a chunk, or an event of a fusion or an evaluation. */
  item(item) {
    if (!this.#isChat) {
      if (item.result) this.#seen = item.result
      return
    }
    const reasons = item.interfuse?.reset ? [] : (this.#seen.choices ?? [])
    for (const { index, finish_reason } of item.choices ?? []) if (finish_reason) reasons[index] = { finish_reason }
    this.#seen = { ...this.#seen, ...present(item), choices: reasons }
  }

  /** A stream was read to its end. */
  ended() {
    this.answered(this.#seen)
  }

  /** A stream was left, by a loop or by `abort()`. */
  left() {
    this.#end(() => {
      this.#span.setAttribute('interfuse.left', true)
      this.#tell(this.#seen)
    })
  }

  failed(error) {
    this.#end(() => {
      const type = error.kind ?? error.name
      this.#labels['error.type'] = type
      this.#span.setAttribute('error.type', type)
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
      const { provider, attempts = [], cost_nanos, request_id } = error
      this.#tell({ ...this.#seen, interfuse: { provider: provider ?? attempts.at(-1)?.provider, attempts, cost_nanos, request_id } })
    })
  }

  #end(told) {
    if (this.#isOver) return
    this.#isOver = true
    told()
    this.#instruments.duration.record((performance.now() - this.#began) / 1000, this.#labels, this.#context)
    this.#span.end()
  }

  /** What an answer says: of a chat, of embeddings, of a fusion, of an evaluation. */
  #tell({ id, model, choices, finish_reason, usage = {}, interfuse: meta = {}, report = meta.fusion, spent_nanos }) {
    const { prompt_tokens_details: input = {}, completion_tokens_details: output = {} } = usage
    const reasons = [...(choices ?? []), { finish_reason }].map((choice) => choice?.finish_reason).filter(Boolean)
    const provider = meta.provider && named(meta.provider)
    const cost = meta.cost_nanos ?? report?.cost.total_nanos ?? spent_nanos
    Object.assign(this.#labels, present({ 'gen_ai.provider.name': provider, 'gen_ai.response.model': model }))
    this.#span.setAttributes(
      present({
        'gen_ai.provider.name': provider,
        'gen_ai.response.id': choices && id,
        'gen_ai.response.model': model,
        'gen_ai.response.finish_reasons': reasons.length ? reasons : undefined,
        'gen_ai.response.time_to_first_chunk': meta.ttft_ms === undefined ? undefined : meta.ttft_ms / 1000,
        'gen_ai.usage.input_tokens': usage.prompt_tokens,
        'gen_ai.usage.output_tokens': usage.completion_tokens,
        'gen_ai.usage.cache_read.input_tokens': input.cached_tokens,
        'gen_ai.usage.cache_creation.input_tokens': input.cache_write_tokens,
        'gen_ai.usage.reasoning.output_tokens': output.reasoning_tokens,
        'interfuse.cost_usd': cost === undefined ? undefined : cost / 1e9,
        'interfuse.request_id': meta.request_id,
        'interfuse.cached_ms': meta.cached_ms,
        'interfuse.fusion.run_id': report?.run_id,
        'interfuse.fusion.mode': report?.mode_used,
      }),
    )
    for (const [type, count] of [['input', usage.prompt_tokens], ['output', usage.completion_tokens]]) {
      if (count !== undefined) this.#instruments.tokens.record(count, { ...this.#labels, 'gen_ai.token.type': type }, this.#context)
    }
    for (const [at, attempt] of (meta.attempts ?? []).entries()) this.#span.addEvent('interfuse.attempt', tried(attempt, at))
    if (report) this.#fused(report)
  }

  /** The calls of a fusion, each as a span of its own time. */
  #fused({ started_ms, members, judges, debate = [] }) {
    const inside = trace.setSpan(this.#context, this.#span)
    const models = new Map(members.map(({ id, model, provider }) => [id, { model, provider }]))
    const calls = [
      ...members.map((member) => ({ role: 'member', ...member, reasons: member.finish_reason })),
      ...debate.map((turn) => ({ role: 'debate', ...models.get(turn.member), ...turn })),
      ...judges.map((judge) => ({ role: judge.purpose, ...judge, reasons: judge.finish_reason })),
    ]
    for (const { role, id, member = id, model, provider, start_ms, latency_ms, reasons, error, status, attempts } of calls) {
      if (start_ms === undefined) continue
      const attributes = present({
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': provider ? named(provider) : OURSELVES,
        'gen_ai.request.model': model,
        'gen_ai.response.finish_reasons': reasons && [reasons],
        'error.type': error,
        'interfuse.fusion.role': role,
        'interfuse.fusion.member': member,
        'interfuse.fusion.status': status,
        'interfuse.attempts': attempts,
      })
      const startTime = started_ms + start_ms
      const span = this.#tracer.startSpan(`chat ${model}`, { kind: SpanKind.CLIENT, attributes, startTime }, inside)
      if (error) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(startTime + latency_ms)
    }
  }
}

/** Attributes of a request. Of what was asked nothing is told but its form. */
function asked(request) {
  const { max_completion_tokens, max_tokens, n, stop, response_format: format, stream, encoding_format: encoding } = request
  const plain = Object.entries(REQUEST).map(([field, name]) => [name, request[field]])
  return present({
    ...Object.fromEntries(plain),
    'gen_ai.request.max_tokens': max_completion_tokens ?? max_tokens,
    'gen_ai.request.choice.count': n > 1 ? n : undefined,
    'gen_ai.request.stop_sequences': stop == null ? undefined : [stop].flat(),
    'gen_ai.request.encoding_formats': encoding ? [encoding] : undefined,
    'gen_ai.request.stream': stream || undefined,
    'gen_ai.output.type': format ? (format.type === 'text' ? 'text' : 'json') : undefined,
  })
}

/** Attributes of one attempt. */
function tried({ provider, model, kind, error, status, ms, waited_ms, key, cost_nanos }, at) {
  return present({
    'gen_ai.provider.name': named(provider),
    'gen_ai.request.model': model,
    'error.type': error,
    'http.response.status_code': status,
    'interfuse.attempt.number': at + 1,
    'interfuse.attempt.kind': kind,
    'interfuse.attempt.key': key,
    'interfuse.attempt.ms': ms,
    'interfuse.attempt.waited_ms': waited_ms,
    'interfuse.attempt.cost_usd': cost_nanos === undefined ? undefined : cost_nanos / 1e9,
  })
}

const named = (provider) => PROVIDERS[provider] ?? provider

/** Without what is not there. */
const present = (attributes) => Object.fromEntries(Object.entries(attributes).filter(([, value]) => value != null))

module.exports = { instrument }

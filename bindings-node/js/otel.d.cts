import type { MeterProvider, TracerProvider } from '@opentelemetry/api'
import type { Interfuse } from './index.cjs'

/** Where spans and metrics go. Everything is optional. */
export interface InstrumentOptions {
  /** Makes the tracer; the registered one by default. */
  tracerProvider?: Pick<TracerProvider, 'getTracer'>
  /** Makes the meter; the one registered by now by default. */
  meterProvider?: Pick<MeterProvider, 'getMeter'>
}

/**
 * Has each call of a client make a span in the active context, by OpenTelemetry's semantic conventions for generative AI: chat and
 * embeddings as `chat MODEL` and `embeddings MODEL`, with provider, model, tokens, `error.type`, `interfuse.cost_usd` and an event
 * `interfuse.attempt` for each attempt; fusions and evaluations as `invoke_workflow fuse`, with the calls of a fusion as spans
 * below. The span of a stream ends with it, also when it is left or aborted. Counts `gen_ai.client.operation.duration` and
 * `gen_ai.client.token.usage`. Neither prompts nor answers are recorded.
 *
 * Needs `@opentelemetry/api` 1.9 or newer beside this package. Once more replaces what was given before. Gives the client.
 */
export function instrument<Client extends Interfuse>(client: Client, options?: InstrumentOptions): Client

import type { ToolRun } from './structured.cjs'
import type { Attempt, ErrorBody, ErrorKind, MemberFailure, PartialAnswer } from './types'

/** Any failure of interfuse: `catch (e) { if (e instanceof InterfuseError) ... }` catches them all. */
export class InterfuseError extends Error {
  constructor(body: ErrorBody, options?: { cause?: unknown })
  /** What went wrong, in one word; the same in every language. */
  readonly kind: ErrorKind
  /** What to do about such a failure. */
  readonly remedy: string
  /** Whether the same call may succeed if made again. */
  readonly retryable: boolean
  /** Provider id, when one was involved. */
  readonly provider?: string
  /** Model, as sent to the provider. */
  readonly model?: string
  /** The vendor's HTTP status, when one arrived. */
  readonly status?: number
  /** The vendor's own code or type; `ABORT_ERR` of a call that was aborted, Node's of an addon that is missing or does not load. */
  readonly code?: string
  /** The parameter the vendor complained about, or the JSON path in a request or configuration. */
  readonly param?: string
  /** The vendor's request id. */
  readonly request_id?: string
  /** When to try again, milliseconds from now. */
  readonly retry_after_ms?: number
  /** The vendor's error body. */
  readonly body?: string
  /** Every attempt made for the call. */
  readonly attempts?: Attempt[]
  /** Cost of those attempts in nano-USD (1e-9 USD); absent when unknown. */
  readonly cost_nanos?: number
  /** What had arrived before an interruption. */
  readonly partial?: PartialAnswer
  /** Each member's reason, when a whole pool failed. */
  readonly members?: MemberFailure[]
  /** Of a failure within `runTools`: what had been done until then. */
  readonly run?: ToolRun
  /** Anything else worth knowing. */
  readonly details?: { [key: string]: unknown }
  /** OpenAI's name of `request_id`. */
  get requestID(): string | undefined
  /** The vendor's error, decoded and without its envelope where it is JSON. */
  get error(): unknown
  /** The vendor's own type, where its error has one beside the code. */
  get type(): string | undefined
  /** Of the vendor's headers what is kept of them: the request's id, and the wait it asked for; none when no response arrived. */
  get headers(): Headers | undefined
  /** The fields as plain data. */
  toJSON(): ErrorBody
}

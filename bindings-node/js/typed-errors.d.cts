import { APIResponseValidationError, BadRequestError, BudgetExceededError, ContentFilterError, InternalServerError, UnsupportedError } from './errors.cjs'
import type { ChatCompletion } from './types'

/** OpenAI's names of these. */
export { APITimeoutError as APIConnectionTimeoutError, CallCancelledError as APIUserAbortError } from './errors.cjs'

/** The vendor refused the request with status 409. */
export class ConflictError extends InternalServerError {}

/** The vendor refused the request with status 422. */
export class UnprocessableEntityError extends BadRequestError {}

/** A schema has no JSON Schema, or none that the strict subset holds; `param` names the place. Nothing was sent. */
export class SchemaError extends UnsupportedError {}

/**
 * The answer does not fit the schema that was asked for, also after asking again. `cost_nanos` and `attempts` are those of all
 * answers together.
 */
export class AnswerFormatError extends APIResponseValidationError {
  /** The last answer. */
  readonly completion: ChatCompletion
  /** What does not fit, each with its place. */
  readonly problems: string[]
}

/** The answer was cut off at the limit of tokens, so that it cannot be read. */
export class LengthFinishReasonError extends APIResponseValidationError {
  /** The answer. */
  readonly completion: ChatCompletion
}

/** The vendor's content policy cut the answer off, so that it cannot be read. */
export class ContentFilterFinishReasonError extends ContentFilterError {
  /** The answer. */
  readonly completion: ChatCompletion
}

/** The model still called tools when `maxSteps` was reached; `run` has everything up to there. */
export class MaxStepsError extends BudgetExceededError {}

// Errors that only this package makes: of schemas and the answers read by them, of tools that never come to an end; and OpenAI's
// names for what is one kind here.
'use strict'

const {
  APIResponseValidationError, APITimeoutError, BadRequestError, BudgetExceededError, CallCancelledError, ContentFilterError,
  InternalServerError, UnsupportedError,
} = require('./errors.cjs')

/** A schema has no JSON Schema, or none that the strict subset holds; `param` names the place. Nothing was sent. */
class SchemaError extends UnsupportedError {}

/** The answer does not fit the schema that was asked for, also after asking again. */
class AnswerFormatError extends APIResponseValidationError {}

/** The answer was cut off at the limit of tokens, so that it cannot be read. */
class LengthFinishReasonError extends APIResponseValidationError {}

/** The vendor's content policy cut the answer off, so that it cannot be read. */
class ContentFilterFinishReasonError extends ContentFilterError {}

/** The model still called tools when `maxSteps` was reached. */
class MaxStepsError extends BudgetExceededError {}

/** The vendor refused the request with status 409. */
class ConflictError extends InternalServerError {}

/** The vendor refused the request with status 422. */
class UnprocessableEntityError extends BadRequestError {}

/** The error of a schema at a place. */
function unheld(at, message, options) {
  return new SchemaError({ kind: 'unsupported', message: `${at}: ${message}`, param: at, retryable: false }, options)
}

/** Something an error carries that is too long to be printed beside its stack. */
function carrying(error, name, value) {
  return Object.defineProperty(error, name, { value, configurable: true, writable: true, enumerable: false })
}

module.exports = {
  APIConnectionTimeoutError: APITimeoutError, APIUserAbortError: CallCancelledError, AnswerFormatError, ConflictError,
  ContentFilterFinishReasonError, LengthFinishReasonError, MaxStepsError, SchemaError, UnprocessableEntityError, carrying, unheld,
}

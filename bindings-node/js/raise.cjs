// From the native half's JSON text to an error of the right class.
'use strict'

const { BY_KIND, BadRequestError, CallCancelledError, InterfuseError, InternalServerError } = require('./errors.cjs')
const { ConflictError, UnprocessableEntityError } = require('./typed-errors.cjs')

/** The error that a fault of the native half stands for. */
function fromNative(fault) {
  let body
  try {
    body = JSON.parse(fault.message)
  } catch {
    return fault
  }
  if (typeof body?.kind !== 'string') return fault
  return make(body)
}

/** The error of a kind's class. Of the statuses that are one kind here, OpenAI has classes for two more. */
function make(body, options) {
  let Class = BY_KIND[body.kind] ?? InterfuseError
  if (Class === BadRequestError && body.status === 422) Class = UnprocessableEntityError
  if (Class === InternalServerError && body.status === 409) Class = ConflictError
  return new Class(body, options)
}

/** What an aborted call rejects with: interfuse's class, with the name and code that `fetch` has taught. */
function aborted(signal) {
  const error = new CallCancelledError(
    { kind: 'cancelled', message: 'the call was aborted', retryable: false },
    { cause: signal.reason },
  )
  error.name = 'AbortError'
  error.code = 'ABORT_ERR'
  return error
}

/** An error made here, in JavaScript. */
function misuse(message, told, options) {
  return make({ kind: 'misuse', message, retryable: false, ...told }, options)
}

/** A fault of the options or the configuration. */
function badConfig(message, options) {
  return make({ kind: 'invalid_config', message, retryable: false }, options)
}

/** What no backend can be asked for. */
function unsupported(message) {
  return make({ kind: 'unsupported', message, retryable: false })
}

/** An answer that cannot be gone on with. */
function interrupted(message, details) {
  return make({ kind: 'interrupted', message, retryable: true, details })
}

module.exports = { aborted, badConfig, failure: make, fromNative, interrupted, misuse, unsupported }

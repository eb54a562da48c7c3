// What `require('interfuse')` gives; `index.mjs` re-exports the same objects.
'use strict'

const { BY_KIND: _kinds, STATUS: _statuses, ...errors } = require('./errors.cjs')
const { ChatCompletionStream } = require('./chat-stream.cjs')
const { Interfuse, calibrate, fusedHtml, replay } = require('./client.cjs')
const { Stream } = require('./stream.cjs')
const { standardResponseFormat } = require('./structured.cjs')
const { standardFunction } = require('./tools.cjs')
const { carrying: _carrying, unheld: _unheld, ...typed } = require('./typed-errors.cjs')
const { version: VERSION } = require('../package.json')

/** Errors that OpenAI's client has as its own fields, too: `error instanceof OpenAI.APIError`. */
const STATIC = [
  'APIError', 'APIConnectionError', 'APIConnectionTimeoutError', 'APIUserAbortError', 'AuthenticationError', 'BadRequestError',
  'ConflictError', 'InternalServerError', 'NotFoundError', 'PermissionDeniedError', 'RateLimitError', 'UnprocessableEntityError',
]
for (const name of STATIC) Object.defineProperty(Interfuse, name, { value: errors[name] ?? typed[name] })

module.exports = {
  Interfuse, calibrate, fusedHtml, replay, standardFunction, standardResponseFormat, ChatCompletionStream, Stream, VERSION,
  ...errors, ...typed,
}

// What `require('interfuse')` gives; `index.mjs` re-exports the same objects.
'use strict'

const { BY_KIND: _kinds, STATUS: _statuses, ...errors } = require('./errors.cjs')
const { ChatCompletionStream } = require('./chat-stream.cjs')
const { Interfuse, calibrate, fusedHtml, replay } = require('./client.cjs')
const { Stream } = require('./stream.cjs')
const { standardResponseFormat } = require('./structured.cjs')
const { standardFunction } = require('./tools.cjs')
const { carrying: _carrying, unheld: _unheld, ...typed } = require('./typed-errors.cjs')

module.exports = { Interfuse, calibrate, fusedHtml, replay, standardFunction, standardResponseFormat, ChatCompletionStream, Stream, ...errors, ...typed }

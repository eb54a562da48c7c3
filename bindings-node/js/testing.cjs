// `interfuse/testing`: scripted answers, faults, delays and prices, and recorded ones, for the tests of a program; no network.
'use strict'

const { cassette } = require('./testing-cassette.cjs')
const { answer, embeddings, error, reset, when } = require('./testing-script.cjs')
const { Upstream } = require('./testing-upstream.cjs')

module.exports = { Upstream, answer, cassette, embeddings, error, reset, when }

import testing from './testing.cjs'

export const { Upstream, answer, cassette, embeddings, error, reset, when } = testing

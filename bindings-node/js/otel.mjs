import otel from './otel.cjs'

export const { instrument } = otel

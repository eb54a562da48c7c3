import serve from './serve.cjs'

export const { handler, nodeHandler } = serve

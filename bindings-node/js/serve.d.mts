export * from './serve.cjs'

export * from './otel.cjs'

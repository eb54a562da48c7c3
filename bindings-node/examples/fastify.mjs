// OpenAI's endpoints in a Fastify application: `node examples/fastify.mjs`.
import fastify from 'fastify'
import { Interfuse } from 'interfuse'
import { nodeHandler } from 'interfuse/serve'

import { authorize } from './authorize.mjs'

const app = fastify()
const serve = nodeHandler(new Interfuse(), { authorize })
app.get('/', () => 'the application')
app.register(async (endpoint) => {
  // The body is left to the handler, which reads it with a limit of its own.
  endpoint.removeAllContentTypeParsers()
  endpoint.addContentTypeParser('*', (request, body, done) => done(null))
  endpoint.all('/v1/*', async (request, reply) => {
    reply.hijack()
    await serve(request.raw, reply.raw)
  })
})

console.log(`${await app.listen({ port: Number(process.env.PORT ?? 8080), host: '127.0.0.1' })}/v1`)

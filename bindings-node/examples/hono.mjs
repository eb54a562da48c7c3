// OpenAI's endpoints in a Hono application, which speaks web requests: `node examples/hono.mjs`. Next.js is alike:
// `const serve = handler(client); export { serve as GET, serve as POST }` in `app/v1/[...path]/route.js`.
import { serve as listen } from '@hono/node-server'
import { Hono } from 'hono'
import { Interfuse } from 'interfuse'
import { handler } from 'interfuse/serve'

import { authorize } from './authorize.mjs'

const app = new Hono()
const serve = handler(new Interfuse(), { authorize })
app.get('/', (c) => c.text('the application'))
app.all('/v1/*', (c) => serve(c.req.raw))

listen({ fetch: app.fetch, port: Number(process.env.PORT ?? 8080), hostname: '127.0.0.1' }, ({ port }) => console.log(`http://127.0.0.1:${port}/v1`))

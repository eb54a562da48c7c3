// OpenAI's endpoints with nothing but Node: `node examples/http.mjs`, then any client with that base URL and the key `demo`.
import { createServer } from 'node:http'

import { Interfuse } from 'interfuse'
import { nodeHandler } from 'interfuse/serve'

import { authorize } from './authorize.mjs'

const server = createServer(nodeHandler(new Interfuse(), { authorize }))
server.listen(process.env.PORT ?? 8080, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/v1`))

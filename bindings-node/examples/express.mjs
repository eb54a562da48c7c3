// OpenAI's endpoints in an Express application: `node examples/express.mjs`.
import express from 'express'
import { Interfuse } from 'interfuse'
import { nodeHandler } from 'interfuse/serve'

import { authorize } from './authorize.mjs'

const app = express()
app.get('/', (req, res) => res.send('the application'))
app.use('/v1', nodeHandler(new Interfuse(), { authorize }))

const server = app.listen(process.env.PORT ?? 8080, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/v1`))

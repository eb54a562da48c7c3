// The same package from CommonJS.
import interfuse = require('interfuse')
import provider = require('interfuse/ai')
import otel = require('interfuse/otel')
import serving = require('interfuse/serve')
import testing = require('interfuse/testing')

const client: interfuse.Interfuse = new interfuse.Interfuse({ apiKey: 'k', baseURL: 'http://localhost:8000/v1' })
const answer: Promise<interfuse.ChatCompletion> = client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'hi' }] })
answer.catch((error: unknown) => {
  if (error instanceof interfuse.ConfigError) console.log(error.kind === 'invalid_config', error.param)
})
void testing.Upstream.start(testing.answer('Bern.')).then((up) => up.close())
const seen: interfuse.Interfuse = otel.instrument(client)
const serve = serving.nodeHandler(client)
void [seen, serve, provider.createInterfuse({ client })('a/b').modelId]

// Keys from functions, asked before every request: they are taken out of the configuration, which crosses as JSON text,
// and answered by name.
'use strict'

/** OpenAI's spellings of fields of a backend. */
const SPELLINGS = { apiKey: 'api_key', baseURL: 'base_url' }

/** Backends without their functions; these go into `sources`, by provider. A key of text replaces one that is there. */
function withoutSources(providers, sources) {
  if (providers === null || typeof providers !== 'object') return providers
  const plain = {}
  for (const [name, given] of Object.entries(providers)) {
    plain[name] = given
    if (given === null || typeof given !== 'object') continue
    const rest = (plain[name] = {})
    for (const [field, value] of Object.entries(given)) rest[SPELLINGS[field] ?? field] = value
    for (const [field, read] of [['api_key', key], ['credentials', account]]) {
      if (typeof rest[field] === 'function') {
        sources.set(name, { ask: rest[field], read })
        delete rest[field]
      } else if (rest[field] != null) {
        sources.delete(name)
      }
    }
  }
  return plain
}

/** The function that the native half asks: JSON text with the key, or with why there is none. Never rejects. */
function answering(sources) {
  return async (provider) => {
    try {
      const { ask, read } = sources.get(provider)
      return JSON.stringify(read(await ask()))
    } catch (error) {
      return JSON.stringify({ failed: String(error) })
    }
  }
}

function key(given) {
  if (typeof given === 'string') return { key: given }
  throw new TypeError(`the function must give a string, not ${given === null ? 'null' : typeof given}`)
}

/** What AWS's own credential providers give, or an access token. */
function account(given) {
  if (typeof given === 'string') return { token: given }
  const { accessKeyId, secretAccessKey, sessionToken } = given ?? {}
  const text = (value) => typeof value === 'string'
  if (!text(accessKeyId) || !text(secretAccessKey) || !(sessionToken == null || text(sessionToken))) {
    throw new TypeError('the function must give accessKeyId, secretAccessKey and maybe sessionToken')
  }
  return { account: { accessKeyId, secretAccessKey, sessionToken } }
}

module.exports = { answering, withoutSources }

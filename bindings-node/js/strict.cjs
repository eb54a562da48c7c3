// The strict subset of JSON Schema, to which vendors hold a model: every object closed, every property required. What only
// narrows values moves into descriptions (the answer is validated all the same); what the subset cannot hold is refused by name.
'use strict'

const { unheld } = require('./typed-errors.cjs')

const KEPT = new Set([
  'type', 'enum', 'const', 'description', 'anyOf', 'pattern', 'multipleOf', 'minimum', 'maximum', 'exclusiveMinimum',
  'exclusiveMaximum', 'minItems', 'maxItems',
])
const FORMATS = new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid'])
const HINTS = {
  minLength: (n) => `at least ${n} characters`,
  maxLength: (n) => `at most ${n} characters`,
  minProperties: (n) => `at least ${n} properties`,
  maxProperties: (n) => `at most ${n} properties`,
}
const KEYS = ['an object with any keys', 'list its properties, or use an array of objects that have the key as a property']
const CONDITION = ['a condition', 'use a union of objects']
const REFUSED = {
  prefixItems: ['a tuple of different parts', 'use an object with a name for each part, or an array'],
  patternProperties: ['an object with keys by a pattern', KEYS[1]],
  propertyNames: KEYS,
  unevaluatedProperties: KEYS,
  dependentRequired: ['properties that depend on others', CONDITION[1]],
  dependentSchemas: ['properties that depend on others', CONDITION[1]],
  contains: ['an array that must contain something', 'check that when validating'],
  not: ['what a value must not be', 'check that when validating'],
  if: CONDITION,
  then: CONDITION,
  else: CONDITION,
}
/** Words that say what a value is. */
const TELLING = ['type', 'enum', 'const', '$ref', 'anyOf', 'oneOf', 'allOf', 'properties', ...Object.keys(REFUSED)]
const MOST_PROPERTIES = 5000
const MOST_DEPTH = 10

/** A regular expression that looks around or back, which no vendor's grammar can. */
const LOOKS_ABOUT = /\(\?<?[=!]|\\[1-9]|\\k</

/** The schema in the strict subset, as `name`. `at` is its place, for errors. Throws `SchemaError` naming what does not fit. */
function strict(schema, name, at) {
  return new Strict(schema, name, at).whole()
}

class Strict {
  #at
  #defs
  #root
  #name
  #asked = []
  #properties = 0

  constructor(schema, name, at) {
    this.#at = at
    this.#defs = definitions(schema)
    this.#root = schema
    while (Object.hasOwn(this.#defs, name)) name += '_'
    this.#name = name
  }

  whole() {
    let root = this.#root
    // A schema that holds itself may stand among its definitions.
    for (const seen = new Set(); root.$ref !== undefined && !seen.has(root.$ref); ) {
      seen.add(root.$ref)
      root = this.#target(this.#named(root.$ref), this.#at)
    }
    if (root.type !== 'object') this.#refuse(this.#at, 'an answer that is no object', 'put it into a property of an object')
    const made = this.#part(root, this.#at, [], 0)
    const defs = {}
    for (const name of this.#asked) defs[name] = this.#part(this.#target(name, this.#at), `${this.#at}.${name}`, [], 0)
    if (this.#asked.length) made.$defs = defs
    if (this.#properties > MOST_PROPERTIES) this.#refuse(this.#at, `${this.#properties} properties`, `${MOST_PROPERTIES} is the most`)
    return made
  }

  #part(given, at, inlined, depth) {
    if (given === false) this.#refuse(at, 'a value that cannot be', 'leave it out')
    if (given === true || !TELLING.some((word) => word in given)) {
      this.#refuse(at, 'a value of any type, or of one that JSON has not (such as a Date)', 'say which type it has in JSON')
    }
    for (const [word, why] of Object.entries(REFUSED)) if (word in given) this.#refuse(at, ...why)
    if (given.$ref !== undefined) {
      const name = this.#named(given.$ref)
      const target = this.#target(name, at)
      const { $ref: _, title: _title, default: _default, ...beside } = given
      // Beside a reference nothing may stand, so what is referred to stands here.
      const isAlone = Object.keys(beside).length === 0
      if (!isAlone && !inlined.includes(name)) return this.#part({ ...target, ...beside }, at, [...inlined, name], depth)
      if (!this.#asked.includes(name)) this.#asked.push(name)
      return { $ref: `#/$defs/${name.replaceAll('~', '~0').replaceAll('/', '~1')}` }
    }
    if (given.allOf !== undefined) {
      const { allOf: [first, ...more], ...rest } = given
      if (more.length) this.#refuse(at, 'a value of several schemas at once (allOf)', 'write one object with all properties')
      return this.#part({ ...first, ...rest }, at, inlined, depth)
    }
    const kept = Object.entries(given).filter(([name, value]) => KEPT.has(name) && !isOfEveryInteger(name, value))
    const made = Object.fromEntries(kept)
    const variants = given.anyOf ?? given.oneOf
    if (variants) made.anyOf = variants.map((one) => this.#part(one, at, inlined, depth))
    narrowing(given, made)
    if ('properties' in given || given.type === 'object') this.#object(given, made, at, inlined, depth)
    if ('items' in given || given.type === 'array') made.items = this.#part(given.items ?? {}, `${at}[]`, inlined, depth)
    return made
  }

  #object(given, made, at, inlined, depth) {
    if ((given.additionalProperties ?? false) !== false || !given.properties) this.#refuse(at, ...KEYS)
    if (depth === MOST_DEPTH) this.#refuse(at, `objects more than ${MOST_DEPTH} deep in each other`, 'flatten them')
    made.properties = {}
    for (const [name, inner] of Object.entries(given.properties)) {
      const part = this.#part(inner, `${at}.${name}`, inlined, depth + 1)
      made.properties[name] = mayBeNull(given, name, this.#root) ? orNull(part) : part
      this.#properties += 1
    }
    made.required = Object.keys(made.properties)
    made.additionalProperties = false
  }

  #named(reference) {
    return reference === '#' ? this.#name : referred(reference)
  }

  #target(name, at) {
    const target = name === this.#name ? this.#root : Object.hasOwn(this.#defs, name) ? this.#defs[name] : undefined
    if (!target) this.#refuse(at, `a reference to ${JSON.stringify(name)}, which is not defined in it`, 'define it under $defs')
    return target
  }

  #refuse(at, what, instead) {
    throw unheld(at, `the strict subset of JSON Schema cannot hold ${what}; ${instead}`)
  }
}

/** Moves what narrows values, but is not in the subset, into the description; an enumeration is given its type. */
function narrowing(given, made) {
  const hints = Object.entries(HINTS).filter(([word]) => word in given).map(([word, said]) => said(given[word]))
  if (given.uniqueItems) hints.push('all different')
  if (FORMATS.has(given.format)) made.format = given.format
  else if (given.format) hints.push(`format ${given.format}`)
  if (LOOKS_ABOUT.test(given.pattern ?? '')) {
    delete made.pattern
    if (!given.format) hints.push(`matches /${given.pattern}/`)
  }
  if (hints.length) made.description = `${made.description ? `${made.description} ` : ''}(${hints.join(', ')})`
  const values = 'const' in given ? [given.const] : given.enum
  if (values && !given.type) {
    const types = [...new Set(values.map(typeOf))]
    made.type = types.length === 1 ? types[0] : types
  }
}

function typeOf(value) {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

/** A bound that only says that numbers are JavaScript's. */
function isOfEveryInteger(name, value) {
  return (name === 'minimum' && value === Number.MIN_SAFE_INTEGER) || (name === 'maximum' && value === Number.MAX_SAFE_INTEGER)
}

/** Whether a property has to be told to be null where it is left out: the subset knows none that may be missing. */
function mayBeNull(given, name, root) {
  const part = given.properties[name]
  return !(given.required ?? []).includes(name) && part.default === undefined && !nullable(part, root)
}

function orNull({ description, ...part }) {
  const variants = part.anyOf && Object.keys(part).length === 1 ? part.anyOf : [part]
  return { ...(description && { description }), anyOf: [...variants, { type: 'null' }] }
}

/** A value without the nulls that stand for what was left out. `given` is the schema as the library wrote it. */
function withoutLeftOut(value, given, root = given) {
  if (value === null || typeof value !== 'object') return value
  const forms = formsOf(given, root)
  if (Array.isArray(value)) {
    const items = { anyOf: forms.map((form) => form.items).filter(Boolean) }
    return value.map((one) => withoutLeftOut(one, items, root))
  }
  const kept = {}
  for (const [name, inner] of Object.entries(value)) {
    const known = forms.filter((form) => form.properties && Object.hasOwn(form.properties, name))
    const isLeftOut = ({ properties, required = [] }) => !required.includes(name) && !nullable(properties[name], root)
    if (inner === null && known.length && known.every(isLeftOut)) continue
    const taken = withoutLeftOut(inner, { anyOf: known.map((form) => form.properties[name]) }, root)
    // Also where the name is one that assigning would not define.
    Object.defineProperty(kept, name, { value: taken, enumerable: true, writable: true, configurable: true })
  }
  return kept
}

/** What a value of a schema may be: references followed, unions opened. */
function formsOf(given, root, seen = []) {
  if (typeof given !== 'object' || seen.includes(given)) return []
  const inner = [...(given.anyOf ?? []), ...(given.oneOf ?? []), ...(given.allOf ?? [])]
  if (given.$ref !== undefined) inner.push(given.$ref === '#' ? root : definitions(root)[referred(given.$ref)] ?? {})
  return [given, ...inner.flatMap((one) => formsOf(one, root, [...seen, given]))]
}

function nullable(given, root) {
  if (given === true) return true
  const isNull = (form) => form.const === null || form.enum?.includes(null) || [form.type].flat().includes('null')
  return formsOf(given, root).some((form) => isNull(form) || !TELLING.some((word) => word in form))
}

const definitions = (schema) => ({ ...schema.definitions, ...schema.$defs })

/** The name in a reference. */
const referred = (reference) => String(reference).split('/').at(-1).replaceAll('~1', '/').replaceAll('~0', '~')

module.exports = { strict, withoutLeftOut }

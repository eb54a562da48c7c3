// Finds the native addon of this machine: beside these files in a checkout, in a package of its own in an installation.
'use strict'

const { createRequire } = require('node:module')

const { misuse } = require('./raise.cjs')

/** What this machine's addon and its package are called after: `linux-x64-gnu`, `darwin-arm64`. */
function machine() {
  const { platform, arch } = process
  const abi = platform === 'linux' ? (isMusl() ? '-musl' : '-gnu') : platform === 'win32' ? '-msvc' : ''
  return `${platform}-${arch}${abi}`
}

function isMusl() {
  const { report } = process
  const { excludeNetwork } = report
  // Only the head of the report is wanted; looking up the host's names would wait for the network.
  report.excludeNetwork = true
  try {
    return !report.getReport().header.glibcVersionRuntime
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}

/** The addon's file, which a checkout has in this folder. */
const fileName = (name = machine()) => `interfuse.${name}.node`

/** A machine's package and its addon. The names stand in full, for bundlers follow no others, and in `try`, where they may miss. */
function installed(name) {
  try {
    switch (name) {
      case 'linux-x64-gnu': return [require('@interfuse/linux-x64-gnu/package.json'), require('@interfuse/linux-x64-gnu')]
      case 'linux-x64-musl': return [require('@interfuse/linux-x64-musl/package.json'), require('@interfuse/linux-x64-musl')]
      case 'linux-arm64-gnu': return [require('@interfuse/linux-arm64-gnu/package.json'), require('@interfuse/linux-arm64-gnu')]
      case 'linux-arm64-musl': return [require('@interfuse/linux-arm64-musl/package.json'), require('@interfuse/linux-arm64-musl')]
      case 'darwin-x64': return [require('@interfuse/darwin-x64/package.json'), require('@interfuse/darwin-x64')]
      case 'darwin-arm64': return [require('@interfuse/darwin-arm64/package.json'), require('@interfuse/darwin-arm64')]
      case 'win32-x64-msvc': return [require('@interfuse/win32-x64-msvc/package.json'), require('@interfuse/win32-x64-msvc')]
    }
  } catch (fault) {
    throw unloaded(fault, `@interfuse/${name}`)
  }
}

/** The native half, or an error that says how to get it. */
function load() {
  const name = machine()
  try {
    return createRequire(__filename)(`./${fileName(name)}`)
  } catch (fault) {
    if (fault.code !== 'MODULE_NOT_FOUND') throw unloaded(fault, `js/${fileName(name)}`)
  }
  const { version, optionalDependencies: packages } = require('../package.json')
  if (!packages) {
    throw misuse(`interfuse: the native addon js/${fileName(name)} is missing. Run \`npm run build\` in bindings-node; it needs Rust.`)
  }
  if (!(`@interfuse/${name}` in packages)) {
    const there = Object.keys(packages).map((known) => known.replace('@interfuse/', '')).join(', ')
    throw misuse(
      `interfuse ${version} has no native addon for ${name}, only for ${there}.` +
        (name.endsWith('-musl') ? ' On Linux with musl, such as Alpine, take an image with glibc (node:22-slim).' : ''),
    )
  }
  const [found, addon] = installed(name)
  if (found.version !== version) {
    throw misuse(
      `interfuse ${version} found the addon of ${found.version}: @interfuse/${name} must have the same version. ` +
        `Run \`npm install interfuse@${version} @interfuse/${name}@${version}\`, and look for an override of either.`,
    )
  }
  return addon
}

/** What a failed `require` of the addon means. */
function unloaded(fault, what) {
  const { version } = require('../package.json')
  return misuse(
    fault.code === 'MODULE_NOT_FOUND'
      ? `interfuse: the package ${what}, which has the native addon for this machine, is not installed. Installing with ` +
          '--omit=optional (--no-optional) leaves it out, and so may a lock file made on another platform. ' +
          `Run \`npm install ${what}@${version}\`, or remove node_modules and the lock file and install again on this machine.`
      : `interfuse: ${what} does not load: ${fault.message}. If the file is damaged, remove node_modules and install again; ` +
          'if it lacks a library or a version of one, this system is older than what the addon was built for.',
    { code: fault.code },
    { cause: fault },
  )
}

module.exports = { load, fileName }

// Finds the native addon for this platform. Each path stands here in full, because bundlers follow no computed ones.
'use strict'

/** The addon of each platform: `process.platform-process.arch`, the libc on Linux, and how it is loaded. */
const ADDONS = [
  ['linux-x64', 'interfuse.linux-x64-gnu.node', () => require('./interfuse.linux-x64-gnu.node')],
  ['linux-x64', 'interfuse.linux-x64-musl.node', () => require('./interfuse.linux-x64-musl.node')],
  ['linux-arm64', 'interfuse.linux-arm64-gnu.node', () => require('./interfuse.linux-arm64-gnu.node')],
  ['linux-arm64', 'interfuse.linux-arm64-musl.node', () => require('./interfuse.linux-arm64-musl.node')],
  ['darwin-x64', 'interfuse.darwin-x64.node', () => require('./interfuse.darwin-x64.node')],
  ['darwin-arm64', 'interfuse.darwin-arm64.node', () => require('./interfuse.darwin-arm64.node')],
  ['win32-x64', 'interfuse.win32-x64-msvc.node', () => require('./interfuse.win32-x64-msvc.node')],
]

/** The addons that can be meant on this machine, the likelier libc first. */
function candidates() {
  const here = ADDONS.filter(([platform]) => platform === `${process.platform}-${process.arch}`)
  return isMusl() ? here.reverse() : here
}

function isMusl() {
  if (process.platform !== 'linux') return false
  // Only the head of the report is wanted; looking up the host's names would wait for the network.
  process.report.excludeNetwork = true
  return !process.report.getReport().header.glibcVersionRuntime
}

/** File names of the addons for this machine, the likeliest first. */
function fileNames() {
  return candidates().map(([, name]) => name)
}

function load() {
  const faults = []
  for (const [, name, addon] of candidates()) {
    try {
      return addon()
    } catch (fault) {
      faults.push(fault)
      // A file that is there and does not load is the fault to tell.
      if (fault.code !== 'MODULE_NOT_FOUND') {
        throw new Error(`interfuse: js/${name} does not load: ${fault.message}`, { cause: fault })
      }
    }
  }
  const platform = `${process.platform}-${process.arch}`
  const names = fileNames()
  throw new Error(
    names.length === 0
      ? `interfuse has no native addon for ${platform}`
      : `interfuse: the native addon js/${names[0]} is missing. In a checkout, run \`npm run build\` in bindings-node (it needs Rust); ` +
        `in an installed package, remove node_modules and the lock file and install again on this machine (${platform}).`,
    { cause: faults[0] },
  )
}

module.exports = { load, fileNames }

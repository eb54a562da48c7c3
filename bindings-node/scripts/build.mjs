// Builds the native addon with cargo and puts it beside the JavaScript under the name the loader asks for.
// `--release` for a build to use; without it, a quick one to test. Other arguments go to cargo.
import { spawnSync } from 'node:child_process'
import { copyFileSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const { fileName } = createRequire(import.meta.url)('../js/native.cjs')
const js = fileURLToPath(new URL('../js/', import.meta.url))
const root = fileURLToPath(new URL('../../', import.meta.url))

const cargo = spawnSync(
  'cargo',
  ['build', '-p', 'interfuse-node', '--message-format=json-render-diagnostics', ...process.argv.slice(2)],
  { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 },
)
if (cargo.error) throw new Error(`cannot run cargo: ${cargo.error.message}; install Rust from https://rustup.rs`)
if (cargo.status !== 0) process.exit(cargo.status ?? 1)

const artifacts = cargo.stdout.toString().split('\n').filter(Boolean).map((line) => JSON.parse(line))
const library = artifacts
  .filter((a) => a.reason === 'compiler-artifact' && a.target.name === 'interfuse_node')
  .flatMap((a) => a.filenames)
  .find((name) => /\.(so|dylib|dll)$/.test(name))
if (!library) throw new Error('cargo built no library for interfuse-node')

// Copy and rename: a process that has the old file mapped keeps it whole.
const name = fileName()
copyFileSync(library, `${js}${name}.new`)
renameSync(`${js}${name}.new`, js + name)
console.log(`built js/${name}`)

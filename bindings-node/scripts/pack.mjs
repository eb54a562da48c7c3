// Packs what is published into a folder: `interfuse`, and `@interfuse/MACHINE` for every addon that lies in js/. The first asks
// for exactly the others. Usage: node scripts/pack.mjs FOLDER
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('../', import.meta.url))
const root = join(here, '..')
const out = process.argv[2]
if (!out) throw new Error('usage: node scripts/pack.mjs FOLDER')
const work = join(out, 'npm')

const { devDependencies, scripts, ...main } = JSON.parse(readFileSync(join(here, 'package.json')))
const [, version] = /^version = "(.*)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))
if (main.version !== version) throw new Error(`package.json says ${main.version}, Cargo.toml ${version}: one version is for all`)

const { fileName } = createRequire(import.meta.url)('../js/native.cjs')
const js = readdirSync(join(here, 'js'))
const machines = js.flatMap((file) => /^interfuse\.(.+)\.node$/.exec(file)?.[1] ?? [])
if (!machines.length) throw new Error('js/ holds no addon: npm run build:release')
const packages = machines.map((machine) => `@interfuse/${machine}`)
const loader = readFileSync(join(here, 'js/native.cjs'), 'utf8')
for (const name of packages) if (!loader.includes(`require('${name}')`)) throw new Error(`js/native.cjs does not know ${name}`)

rmSync(work, { recursive: true, force: true })

/** Lays a package out, from files of this checkout and texts, and packs it. */
function pack(description, files, texts = {}) {
  const folder = join(work, description.name)
  mkdirSync(folder, { recursive: true })
  for (const [name, from] of Object.entries(files)) cpSync(from, join(folder, name))
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text)
  // The symbols of a quick build weigh more than its code; a release build has none.
  if (process.platform === 'linux' && fileName() in files) execFileSync('strip', ['--strip-unneeded', join(folder, fileName())])
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(description, null, 2)}\n`)
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', out], { cwd: folder, encoding: 'utf8' }).trim()
  console.log(`${String(Math.round(statSync(join(out, packed)).size / 1000)).padStart(9)} KB  ${packed}`)
}

const licences = { 'LICENSE-MIT': join(root, 'LICENSE-MIT'), 'LICENSE-APACHE': join(root, 'LICENSE-APACHE') }
const { type, license, repository, engines, publishConfig } = main

for (const [at, machine] of machines.entries()) {
  const [os, cpu, abi] = machine.split('-')
  const addon = `interfuse.${machine}.node`
  const libc = { gnu: ['glibc'], musl: ['musl'] }[abi]
  const system = { linux: `unknown-linux-${abi}`, darwin: 'apple-darwin', win32: 'pc-windows-msvc' }[os]
  const target = `${{ x64: 'x86_64', arm64: 'aarch64' }[cpu]}-${system}`
  const thirdParty = execFileSync('python3', ['tests/setup/third_party.py', 'interfuse-node', target], { cwd: root, maxBuffer: 1 << 28 })
  pack(
    {
      name: packages[at],
      version,
      description: `The native addon of interfuse for ${machine}`,
      os: [os],
      cpu: [cpu],
      ...(libc && { libc }),
      main: addon,
      files: [addon, 'LICENSE-*', 'THIRD-PARTY.md'],
      ...{ type, license, repository, engines, publishConfig },
    },
    { ...licences, [addon]: join(here, 'js', addon) },
    {
      'README.md': `The native addon of [interfuse](https://www.npmjs.com/package/interfuse) for ${machine}, which installs it by itself.\n`,
      'THIRD-PARTY.md': thirdParty,
    },
  )
}

// Last, and published last: whoever gets it finds the others.
pack(
  { ...main, optionalDependencies: Object.fromEntries(packages.map((name) => [name, version])) },
  {
    ...licences,
    ...Object.fromEntries(js.filter((file) => !file.endsWith('.node')).map((file) => [`js/${file}`, join(here, 'js', file)])),
    'README.md': join(here, 'README.md'),
  },
)
rmSync(work, { recursive: true })

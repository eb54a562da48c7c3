// interfuse loads native code, which no bundler can take in: it stays outside. `standalone` gathers what is needed to ship.
export default { output: 'standalone', serverExternalPackages: ['interfuse'] }

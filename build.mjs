/**
 * Makes `dist/`: the gateway as one file that runs on a bare Node 24 with no node_modules, and the
 * licences of what is in it. `npm run build` and the container image call it. It fails when the
 * bundle grew past its budget, would load a package at run time, or starts too slowly, because
 * each of these creeps in unseen with an import.
 *
 *   node build.mjs [--outdir DIR]
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const root = dirname(fileURLToPath(import.meta.url))

/**
 * What is in it today plus a tenth. Raise it knowingly, with the vendor table beside the diff.
 * Half of it are the credential libraries of Azure, Google and AWS, which run only where they are
 * configured: compiled on demand, they add nothing to the start.
 */
const bundleMaxBytes = 6_000_000

/**
 * From spawn to the end of `--version`, in starts of Node that runs nothing: the fastest of several
 * of each, taken in turns, so that a slow or busy machine does not fail a build. Measured at 4 to
 * 5; most of it is undici.
 */
const versionMaxStarts = 8
const versionStarts = 7

/** Licences that allow what we do: ship the code inside a file of ours, with its notice. */
const licencesAllowed = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Unlicense',
])

/** Optional accelerators their users try to load and do without; never part of the bundle. */
const left = new Set(['pg-native', 'supports-color'])

/** pg-format computes the path of its own file, which no bundler can follow. */
const pgFormatFix = {
  name: 'pg-format-fix',
  setup(bundler) {
    bundler.onLoad({ filter: /\/pg-format\/lib\/index\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      const contents = source.replace("__dirname + '/reserved.js'", "'./reserved.js'")
      if (contents === source) throw new Error('pg-format changed: its fix in build.mjs is void')
      return { contents }
    })
  },
}

/** Without it a package that happens to lie above the bundle would be loaded, whoever put it there. */
const leaveOut = {
  name: 'leave-out',
  setup(bundler) {
    bundler.onResolve({ filter: /^[a-z-]+$/ }, ({ path }) =>
      left.has(path) ? { path, namespace: 'left-out' } : undefined,
    )
    bundler.onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({
      contents: `throw Object.assign(new Error('${path} is not part of this bundle'), { code: 'MODULE_NOT_FOUND' })`,
    }))
  },
}

async function bundle(outfile) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['bin/gateway.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // Not minified: names and line breaks make stack traces legible, and cost 10 ms at start.
    minify: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    plugins: [pgFormatFix, leaveOut],
    // CommonJS packages inside an ES module still call require() for node's own modules.
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'\nconst require = makeRequire(import.meta.url)",
    },
  })
  const [output] = Object.values(metafile.outputs)
  return output
}

/**
 * V8 keeps a source with one character beyond Latin-1 at two bytes a character: 6 MB of this one.
 * esbuild escapes them in texts and names, and leaves them in comments and regular expressions,
 * where an escape means the same.
 */
function makeAscii(outfile) {
  const source = readFileSync(outfile, 'utf8')
  const escape = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  writeFileSync(outfile, source.replace(/[^\0-\x7F]/g, escape))
}

/** Package name of a bundled file; the project's own files count as `apps-gateway`. */
function vendorOf(input) {
  const inside = input.split('node_modules/').at(-1)
  if (inside === input) return input.includes('left-out:') ? undefined : 'apps-gateway'
  return inside
    .split('/')
    .slice(0, inside.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Bytes in the bundle and folder on disk per vendor, largest first. */
function countVendors(output) {
  const vendors = new Map()
  for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
    const name = vendorOf(input)
    if (name === undefined) continue
    const folder =
      name === 'apps-gateway'
        ? root
        : join(
            root,
            input.slice(0, input.lastIndexOf(`node_modules/${name}/`)),
            'node_modules',
            name,
          )
    const bytes = (vendors.get(name)?.bytes ?? 0) + bytesInOutput
    vendors.set(name, { bytes, folder })
  }
  return new Map([...vendors].sort(([, a], [, b]) => b.bytes - a.bytes))
}

function checkImports(output) {
  const foreign = output.imports
    .map(({ path }) => path)
    .filter((path) => !path.startsWith('node:') && !builtinModules.includes(path))
  if (foreign.length > 0) {
    throw new Error(`the bundle would load at run time: ${[...new Set(foreign)].join(', ')}`)
  }
}

function checkSize(outfile, vendors) {
  const { size } = statSync(outfile)
  for (const [name, { bytes }] of vendors) {
    process.stdout.write(`${String(bytes).padStart(9)}  ${name}\n`)
  }
  process.stdout.write(`${String(size).padStart(9)}  in all, of ${bundleMaxBytes}\n`)
  if (size > bundleMaxBytes) {
    throw new Error(
      `the bundle has ${size} bytes, ${size - bundleMaxBytes} more than build.mjs allows`,
    )
  }
}

/** The licence file of a package, or the licence chapter of its README, or what it declares. */
function licenceText(folder, declared) {
  const files = readdirSync(folder)
  const own = files.filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
  if (own.length > 0) return own.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n')
  const readme = files.find((file) => /^readme/i.test(file))
  const chapter =
    readme &&
    /\n#+ *licen[cs]e[^\n]*\n([^]*)/i.exec(readFileSync(join(folder, readme), 'utf8'))?.[1]
  return chapter || `Declared as ${declared}; the package ships no licence text.\n`
}

function writeNotices(vendors, path) {
  const parts = ['This file lists the third-party software inside gateway.mjs.\n']
  for (const name of [...vendors.keys()].toSorted((a, b) => a.localeCompare(b))) {
    if (name === 'apps-gateway') continue
    const { folder } = vendors.get(name)
    const { version, license, author } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    )
    if (!licencesAllowed.has(license)) {
      throw new Error(`${name} ${version} has the licence ${license}: not on the list of build.mjs`)
    }
    const by = typeof author === 'object' ? author.name : author
    parts.push(
      `${'='.repeat(72)}\n${name} ${version} (${license})${by ? `, ${by}` : ''}\n\n${licenceText(folder, license).trim()}\n`,
    )
  }
  writeFileSync(path, parts.join('\n'))
}

function checkStart(outfile) {
  const time = (...args) => {
    const begun = performance.now()
    execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    return performance.now() - begun
  }
  const pairs = Array.from({ length: versionStarts }, () => ({
    version: time(outfile, '--version'),
    nothing: time('--eval', ''),
  }))
  const fastest = (name) => Math.min(...pairs.map((pair) => pair[name]))
  const starts = fastest('version') / fastest('nothing')
  process.stdout.write(
    `${fastest('version').toFixed(0).padStart(9)}  ms from spawn to --version: ${starts.toFixed(1)} starts of Node, of ${versionMaxStarts}\n`,
  )
  if (starts > versionMaxStarts) {
    throw new Error(
      `--version took ${starts.toFixed(1)} starts of Node at best: an import does work it should leave for later`,
    )
  }
}

async function main() {
  const { values } = parseArgs({ options: { outdir: { type: 'string', default: 'dist' } } })
  const folder = resolve(root, values.outdir)
  rmSync(join(folder, 'gateway.mjs'), { force: true })
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, 'gateway.mjs')
  const output = await bundle(outfile)
  makeAscii(outfile)
  const vendors = countVendors(output)
  checkImports(output)
  checkSize(outfile, vendors)
  writeNotices(vendors, join(folder, 'THIRD-PARTY-NOTICES.txt'))
  checkStart(outfile)
  process.stdout.write(`Built ${relative(process.cwd(), outfile)} with Node ${process.version}\n`)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

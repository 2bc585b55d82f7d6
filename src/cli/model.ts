/** `tabswarm model …`: get, look at and tokenize with model files. `model run` is in modelRun.ts. */

import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { GgufFile, MetadataValue } from '../model/index.ts'
import type { CatalogueEntry, OpenedModel } from '../node/index.ts'
import { TabswarmError, toErrorBody } from '../shared/index.ts'
import { printJson, printLine, printNote, progressPrinter, UsageError } from './output.ts'

interface JsonOption {
  readonly json: boolean
}

interface TokenizeOptions extends JsonOption {
  readonly text?: string
  readonly textFile?: string
  readonly special: boolean
}

const JSON_HELP = 'one JSON value on stdout'

/** Adds `model` with its subcommands; returns it, so that others may add theirs. */
export function registerModelCommands(program: Command): Command {
  const model = program.command('model').description('get, look at and try model files')
  model
    .command('pull')
    .description('get a model of the catalogue, if it is not there, and check it')
    .argument('[id]', 'which one; see model list', 'default')
    .option('--json', JSON_HELP, false)
    .action(pull)
  model
    .command('list')
    .description('the models that can be pulled by name, and where they lie')
    .option('--json', JSON_HELP, false)
    .action(list)
  model
    .command('inspect')
    .description('what a GGUF file holds, and whether it can be run')
    .argument('<file|url|id>')
    .option('--json', JSON_HELP, false)
    .action(inspect)
  model
    .command('manifest')
    .description('byte range and SHA-256 of every tensor, as JSON, and its own hash')
    .argument('<file|url|id>')
    .option('--json', JSON_HELP, false)
    .action(manifest)
  model
    .command('tokenize')
    .description("token ids of a text by the file's own tokenizer; never adds BOS or EOS")
    .argument('<file|url|id>', 'also vocabulary-only files')
    .option('--text <text>', 'the text')
    .option('--text-file <file>', 'a file with the text, read byte for byte')
    .option('--special', 'parse the text of special tokens as such', false)
    .option('--json', JSON_HELP, false)
    .action(tokenize)
  return model
}

async function pull(id: string, { json }: JsonOption): Promise<void> {
  const { catalogue, catalogueEntry, pullModel } = await import('../node/index.ts')
  const entry = catalogueEntry(id)
  if (entry === undefined)
    throw new TabswarmError('not-found', `there is no model "${id}"; the catalogue has ${catalogue.map((known) => known.id).join(', ')}`)
  const path = await pullModel(entry, { onProgress: progressPrinter(entry.file), onNote: printNote })
  if (json) printJson({ id: entry.id, path, bytes: entry.byteLength, sha256: entry.sha256 })
  else printLine(path)
}

async function list({ json }: JsonOption): Promise<void> {
  const { catalogue, isPulled, modelPath } = await import('../node/index.ts')
  const describe = async (entry: CatalogueEntry) => ({
    id: entry.id,
    name: entry.name,
    file: entry.file,
    bytes: entry.byteLength,
    sha256: entry.sha256,
    license: entry.license,
    path: modelPath(entry),
    pulled: await isPulled(entry),
  })
  const models = await Promise.all(catalogue.map(describe))
  if (json) return printJson({ models })
  for (const [index, entry] of models.entries()) {
    printLine(`${entry.id}${index === 0 ? ' (default)' : ''}: ${entry.name}, ${megabytes(entry.bytes)}, ${entry.license}`)
    printLine(`  ${entry.pulled ? 'is at' : 'would be pulled to'} ${entry.path}`)
  }
}

async function inspect(name: string, { json }: JsonOption): Promise<void> {
  const opened = await open(name)
  const { gguf } = opened
  const run = await runnable(gguf)
  if (json) {
    printJson({
      version: gguf.version,
      fileBytes: gguf.fileBytes,
      headerBytes: gguf.headerBytes.byteLength,
      metadata: Object.fromEntries(gguf.metadata.keys().map((key) => [key, summary(gguf.metadata.get(key))])),
      tensors: gguf.tensors,
      ...run,
    })
    return
  }
  printLine(`GGUF version ${gguf.version}, ${megabytes(gguf.fileBytes)}, header of ${gguf.headerBytes.byteLength} bytes`)
  for (const key of gguf.metadata.keys()) printLine(`  ${key} = ${JSON.stringify(summary(gguf.metadata.get(key)))}`)
  printLine(`${gguf.tensors.length} tensors`)
  for (const { name: tensor, type, shape, byteLength } of gguf.tensors)
    printLine(`  ${tensor} ${type} [${shape.join(', ')}] ${byteLength} bytes`)
  printLine(run.config === null ? `cannot be run: ${run.reason?.message ?? ''}` : 'can be run:')
  if (run.config === null) return
  const { describeConfig } = await import('./describeConfig.ts')
  for (const line of describeConfig(run.config)) printLine(`  ${line}`)
}

async function runnable(gguf: GgufFile) {
  const { readModel } = await import('../model/index.ts')
  try {
    return { runnable: true, reason: null, config: readModel(gguf).config }
  } catch (error) {
    return { runnable: false, reason: toErrorBody(error), config: null }
  }
}

/** Elements of a long array that are shown: a vocabulary would be a megabyte. */
const SHOWN_ELEMENTS_MAX = 8

function summary(value: MetadataValue | undefined): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object') return value
  const { values } = value
  const first = Array.from({ length: Math.min(values.length, SHOWN_ELEMENTS_MAX) }, (_, index) => {
    const element = values[index]
    return typeof element === 'object' ? summary(element) : jsonNumber(element)
  })
  return { elementType: value.elementType, length: value.values.length, first }
}

/** JSON has no bigint, and turns NaN and infinities into null. */
function jsonNumber(element: string | number | bigint | boolean | undefined): unknown {
  return typeof element === 'bigint' || (typeof element === 'number' && !Number.isFinite(element)) ? String(element) : element
}

async function manifest(name: string, { json }: JsonOption): Promise<void> {
  const { resolveModel } = await import('../node/index.ts')
  const { hashedManifest } = await resolveModel(name, progressPrinter('reading'), { onNote: printNote })
  if (json) printJson(hashedManifest)
  else printLine(JSON.stringify(hashedManifest, null, 2))
}

async function tokenize(name: string, options: TokenizeOptions): Promise<void> {
  const { text, textFile } = options
  if ((text === undefined) === (textFile === undefined)) throw new UsageError('give the text by either --text or --text-file')
  const { createTokenizer } = await import('../model/index.ts')
  const input = textFile === undefined ? (text ?? '') : await readText(textFile)
  const { gguf } = await open(name)
  const tokenizer = createTokenizer(gguf.metadata)
  const ids = tokenizer.encode(input, { parseSpecial: options.special })
  if (options.json) return printJson({ ids })
  for (const id of ids) printLine(`${id}\t${JSON.stringify(tokenizer.tokenText(id))}`)
}

async function open(name: string): Promise<OpenedModel> {
  const { openModel } = await import('../node/index.ts')
  return openModel(name, { onProgress: progressPrinter('pulling'), onNote: printNote })
}

async function readText(file: string): Promise<Uint8Array> {
  return readFile(file).catch((error: unknown) => {
    throw new TabswarmError('not-found', `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  })
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

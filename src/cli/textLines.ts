/** The lines of a text file that may be larger than memory; gzipped ones are unpacked on the way. (readline loses a stream's errors.) */

import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { TabswarmError } from '../shared/index.ts'

/** Rejects with `not-found` where the file cannot be read or unpacked. */
export async function* textLines(file: string, form: 'plain' | 'gzip'): AsyncGenerator<string> {
  const source = createReadStream(file)
  // The end of a pipeline is destroyed with the error of any part, and the loop below throws it.
  const bytes = form === 'plain' ? source : pipeline(source, createGunzip(), () => undefined)
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const chunk of bytes) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
  } catch (error) {
    if (error instanceof TabswarmError) throw error
    throw new TabswarmError('not-found', `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (rest !== '') yield rest
}

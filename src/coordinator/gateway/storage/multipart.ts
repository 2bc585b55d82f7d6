/** multipart: a form with one file, as clients upload it. Node's own parser reads it; here it is bounded. */

import { badParameter } from '../apiError.ts'

export interface UploadedFile {
  readonly purpose: string
  readonly name: string
  readonly content: Uint8Array
}

const NAME_CHARACTERS_MAX = 255

/** `body`: of the type multipart/form-data. Rejects with an ApiError that names the field. */
export async function readUpload(body: Uint8Array, contentType: string): Promise<UploadedFile> {
  const form = await formOf(body, contentType)
  for (const name of form.keys()) {
    if (name.startsWith('expires_after')) throw badParameter('expires_after', `${WHEN_GONE}; leave it out`, 'unsupported_parameter')
    if (name !== 'file' && name !== 'purpose')
      throw badParameter(name.slice(0, 100), `there is no field ${name.slice(0, 100)}; leave it out`, 'unknown_parameter')
  }
  const [purpose, file] = [form.get('purpose'), form.get('file')]
  if (typeof purpose !== 'string') throw badParameter('purpose', 'purpose is missing: say what the file is for, as "batch"')
  if (file === null || typeof file === 'string') throw badParameter('file', 'file is missing: send its content with a file name')
  if (file.name.length > NAME_CHARACTERS_MAX) throw badParameter('file', `the name of a file has at most ${NAME_CHARACTERS_MAX} characters`)
  return { purpose, name: file.name, content: new Uint8Array(await file.arrayBuffer()) }
}

const WHEN_GONE = 'files are gone a day after they came, or after the batch that reads them has ended'

async function formOf(body: Uint8Array, contentType: string) {
  try {
    return await new Response(Buffer.from(body), { headers: { 'content-type': contentType } }).formData()
  } catch {
    throw badParameter('file', 'the form cannot be read: send multipart/form-data with the fields purpose and file')
  }
}

/** Errors about GPU adapters in Node. */

import { TabswarmError } from '../shared/index.ts'

export class GpuError extends TabswarmError<'no-adapter'> {
  constructor(reason: 'no-adapter', message: string, options?: { cause?: unknown }) {
    super(reason, message, options)
    this.name = 'GpuError'
  }
}

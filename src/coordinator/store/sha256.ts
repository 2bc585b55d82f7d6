/** SHA-256 by Node, as the port has it. */

import { createHash } from 'node:crypto'
import type { Sha256 } from '../../shared/index.ts'

export const sha256: Sha256 = async (bytes) => createHash('sha256').update(bytes).digest()

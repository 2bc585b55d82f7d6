/** CoordinatorError: what an operator did that cannot work. What peers do wrong is answered, never thrown. */

import { TabswarmError } from '../../shared/index.ts'

export class CoordinatorError extends TabswarmError<'too-many-stages' | 'no-model' | 'cannot-listen' | 'bad-options'> {
  override readonly name = 'CoordinatorError'
}

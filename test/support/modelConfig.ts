/** Models as numbers, without their bytes: the simulation's, for tests of other rooms, which enter them by their doors only. */

export { manifestOf, modelConfig } from '../../src/sim/modelConfig.ts'

/** session: the driver. Opens a chain, generates over it; the same in a tab, in the coordinator and on the command line. */

export type { Candidates, Chain, ChainEvents, ChainRepair, Lap, LapResults, RepairRequest, StageLap } from './chain.ts'
export { GATHER_MS } from './chainRepair.ts'
export { Detokenizer, type TokenText } from './detokenizer.ts'
export type { Drafter, DraftRequest, DraftToken } from './drafter.ts'
export { type DraftSessionOptions, openDraftSession } from './draftSession.ts'
export { type ChainEngine, type ChainOutput, type ChainSegment, type EngineChainOptions, openEngineChain } from './engineChain.ts'
export { SessionError, type SessionErrorReason } from './errors.ts'
export {
  chunkRowsFor,
  type DraftCounts,
  type GenerateEvent,
  type GenerateRequest,
  type GenerateResult,
  type GenerateStep,
  type GenerateTimings,
  type GenerationTokenizer,
  generate,
} from './generate.ts'
export { LapTimes } from './lapTimes.ts'
export { type DriverBook, type LinkChainOptions, OPEN_DEADLINE_MS, openLinkChain } from './linkChain.ts'
export { LinkRouter } from './linkRouter.ts'
export { lookupFirst } from './lookupFirst.ts'
export { type DraftSource, ModelDrafter } from './modelDrafter.ts'
export { choiceMargin, GREEDY, type LogitBias, type Sampling, sample } from './sampler.ts'
export { createNgramDrafter } from './speculationNgrams.ts'
export type { TokenConstraint, TokenSet } from './tokenConstraint.ts'

/** kernels/suite: the kernel suite's core, without a page, a terminal or ONNX Runtime: cases, checks, timing, files. */

export type { Baseline, BaselineSubject, PreparedBaseline } from './baseline.ts'
export { caseWork, checkCase, SuiteError, type SuiteErrorReason } from './cases.ts'
export { caseMsDone, guessCaseTime } from './caseTime.ts'
export { type CaseComparison, compareRuns, parseRun, RUN_BYTES_MAX, type RunComparison, runToCsv, runToJson } from './files.ts'
export { fits, isSuiteFormat, suiteFormats } from './formats.ts'
export { decodeChoice, encodeChoice } from './link.ts'
export { type AdapterRequest, measureAdapter } from './measureAdapter.ts'
export { type OrtRuntime, ortBaseline } from './ortBaseline.ts'
export { casesOf, defaultChoice, projections, type SuiteChoice, type SuitePreset, suitePresets } from './presets.ts'
export { runSuite, type SuiteRequest } from './runSuite.ts'
export { median, pairedRatios, quantile, quartiles } from './statistics.ts'
export type { SuiteTuning } from './subject.ts'
export {
  type BaselineResult,
  type CaseFailure,
  type CaseResult,
  caseKey,
  type Quartiles,
  SUITE_KERNELS,
  type SuiteAdapter,
  type SuiteCase,
  type SuiteEvent,
  type SuiteFormat,
  type SuiteKernel,
  type SuitePhase,
  type SuiteProgress,
  type SuiteRun,
} from './types.ts'
export { ORT_DOWNLOAD_BYTES, type SuiteApi, type SuiteMessage, type SuiteRunRequest } from './workerApi.ts'

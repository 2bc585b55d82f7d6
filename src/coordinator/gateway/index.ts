/** coordinator/gateway: the API that existing clients of OpenAI’s speak. */

export type { ApiRequestEntry } from './apiRequests.ts'
export { canaryDriver } from './canaryDriver.ts'
export { DriverError } from './errors.ts'
export type {
  Answering,
  AnswerSampling,
  ChosenToken,
  DriverAnswer,
  DriverEvent,
  DriverRequest,
  DriverStage,
  GatewayAccounts,
  GatewayDriver,
  GatewayModels,
  OfferedModel,
  Prompt,
  PromptMessage,
  TokenLogprob,
  ToolDefinition,
} from './ports.ts'
export { ANSWER_TOKENS_DEFAULT } from './ports.ts'
export { type Gateway, refuseBrokenPath, registerGateway } from './registerGateway.ts'
export type { GatewayStorage } from './storage/ports.ts'
export type { UsageEvent } from './usageRecords.ts'
export { UsageWebhook } from './usageWebhook.ts'

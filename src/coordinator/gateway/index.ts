/** coordinator/gateway: the API that existing clients of OpenAI’s speak. */

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
} from './ports.ts'
export { ANSWER_TOKENS_DEFAULT } from './ports.ts'
export { type Gateway, registerGateway } from './registerGateway.ts'
export type { GatewayStorage } from './storage/ports.ts'

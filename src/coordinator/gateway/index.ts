/** coordinator/gateway: the API that existing clients of OpenAI’s speak. */

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
} from './ports.ts'
export { ANSWER_TOKENS_DEFAULT } from './ports.ts'
export { registerGateway } from './registerGateway.ts'

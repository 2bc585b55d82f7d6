/** operations: what the API answers at which address: by which schema a request is read, and of which its answers are. */

import * as v from 'valibot'
import { CHAT_PARAMETERS, COMPLETION_PARAMETERS, type Parameters } from '../parameters.ts'
import { chatSchema, completionSchema } from '../requests.ts'
import { RESPONSE_PARAMETERS, responseSchema } from '../responseRequests.ts'
import { BATCH_PARAMETERS, batchRequestSchema } from '../storage/batchesRoutes.ts'
import {
  batchSchema,
  chatSchema as chatAnswer,
  chatChunkSchema,
  completedResponse,
  deletedSchema,
  estimateSchema,
  fileSchema,
  incompleteResponse,
  listOf,
  modelSchema,
  oldChunkSchema,
  oldSchema,
  recordSchema,
  recordsSchema,
  responseEvent,
} from './answerSchemas.ts'

export interface RequestBody {
  readonly name: string
  readonly schema: v.GenericSchema
  readonly parameters: Parameters
}

export interface Operation {
  readonly method: 'get' | 'post' | 'delete'
  /** Below /v1, with `{id}`. */
  readonly path: string
  /** Of all its kind one. */
  readonly id: string
  readonly summary: string
  /** Of JSON; a form has none; one of several. */
  readonly bodies: readonly RequestBody[]
  readonly query?: Readonly<Record<string, string>>
  /** Null: bytes. */
  readonly answer: { readonly name: string; readonly schema: v.GenericSchema } | null
  /** Data of a stream's events. */
  readonly chunk?: { readonly name: string; readonly schema: v.GenericSchema }
  /** Where the coordinator keeps what clients leave there. */
  readonly needsStorage?: boolean
}

const CHAT: RequestBody = { name: 'ChatRequest', schema: chatSchema, parameters: CHAT_PARAMETERS }
const COMPLETION: RequestBody = { name: 'CompletionRequest', schema: completionSchema, parameters: COMPLETION_PARAMETERS }
const RESPONSE: RequestBody = { name: 'ResponseRequest', schema: responseSchema, parameters: RESPONSE_PARAMETERS }
const BATCH: RequestBody = { name: 'BatchRequest', schema: batchRequestSchema, parameters: BATCH_PARAMETERS }
const response = { name: 'Response', schema: v.union([completedResponse, incompleteResponse]) }
const file = { name: 'File', schema: fileSchema }
const batch = { name: 'Batch', schema: batchSchema }
const deleted = { name: 'Deleted', schema: deletedSchema }
const PAGE = { limit: 'So many at most.', after: 'The id behind which the page begins.' }

const ANSWERS: readonly Operation[] = [
  {
    ...{ method: 'post', path: '/chat/completions', id: 'createChatCompletion', bodies: [CHAT] },
    summary: 'An answer to a conversation, whole or streamed',
    answer: { name: 'ChatCompletion', schema: chatAnswer },
    chunk: { name: 'ChatCompletionChunk', schema: chatChunkSchema },
  },
  {
    ...{ method: 'post', path: '/completions', id: 'createCompletion', bodies: [COMPLETION] },
    summary: 'A continuation of a text or of token ids, which may be echoed with its log-probabilities',
    answer: { name: 'Completion', schema: oldSchema },
    chunk: { name: 'CompletionChunk', schema: oldChunkSchema },
  },
  {
    ...{ method: 'post', path: '/responses', id: 'createResponse', bodies: [RESPONSE] },
    summary: 'An answer in the words of the Responses API, whole or streamed',
    answer: response,
    chunk: { name: 'ResponseEvent', schema: responseEvent },
  },
  {
    ...{ method: 'post', path: '/estimate', id: 'estimate', bodies: [CHAT, COMPLETION, RESPONSE] },
    summary: 'What such a request may cost and have to wait for; nothing is computed but its tokens',
    answer: { name: 'Estimate', schema: estimateSchema },
  },
]

const FACTS: readonly Operation[] = [
  {
    ...{ method: 'get', path: '/models', id: 'listModels', summary: 'The models, with price and capacity', bodies: [] },
    answer: { name: 'ModelList', schema: v.strictObject({ object: v.literal('list'), data: v.array(modelSchema) }) },
  },
  {
    ...{ method: 'get', path: '/models/{id}', id: 'getModel', summary: 'One of them', bodies: [] },
    answer: { name: 'Model', schema: modelSchema },
  },
  {
    ...{
      method: 'get',
      path: '/usage',
      id: 'listUsage',
      summary: 'What requests of the last day cost, and by what way they were computed',
      bodies: [],
    },
    answer: { name: 'UsageList', schema: recordsSchema },
  },
  {
    ...{ method: 'get', path: '/usage/{id}', id: 'getUsage', summary: 'The same of one request', bodies: [] },
    answer: { name: 'Usage', schema: recordSchema },
  },
]

const STORAGE: readonly Operation[] = [
  { method: 'get', path: '/responses/{id}', id: 'getResponse', summary: 'One that was kept', bodies: [], answer: response },
  { method: 'delete', path: '/responses/{id}', id: 'deleteResponse', summary: 'Removes it at once', bodies: [], answer: deleted },
  {
    method: 'post',
    path: '/files',
    id: 'createFile',
    summary: 'Leaves a file for batches: a form with file and purpose',
    bodies: [],
    answer: file,
  },
  {
    ...{ method: 'get', path: '/files', id: 'listFiles', summary: 'Files of this key', bodies: [] },
    query: { ...PAGE, purpose: 'batch or batch_output.' },
    answer: { name: 'FileList', schema: listOf(fileSchema) },
  },
  { method: 'get', path: '/files/{id}', id: 'getFile', summary: 'One of them', bodies: [], answer: file },
  { method: 'get', path: '/files/{id}/content', id: 'getFileContent', summary: 'Its bytes', bodies: [], answer: null },
  { method: 'delete', path: '/files/{id}', id: 'deleteFile', summary: 'Removes it at once', bodies: [], answer: deleted },
  {
    method: 'post',
    path: '/batches',
    id: 'createBatch',
    summary: 'Has a file’s requests answered on spare capacity',
    bodies: [BATCH],
    answer: batch,
  },
  {
    ...{ method: 'get', path: '/batches', id: 'listBatches', summary: 'Batches of this key', bodies: [], query: PAGE },
    answer: { name: 'BatchList', schema: listOf(batchSchema) },
  },
  { method: 'get', path: '/batches/{id}', id: 'getBatch', summary: 'One of them', bodies: [], answer: batch },
  {
    method: 'post',
    path: '/batches/{id}/cancel',
    id: 'cancelBatch',
    summary: 'Ends it; what was answered stays',
    bodies: [],
    answer: batch,
  },
]

export const OPERATIONS: readonly Operation[] = [...ANSWERS, ...FACTS, ...STORAGE.map((one) => ({ ...one, needsStorage: true }))]

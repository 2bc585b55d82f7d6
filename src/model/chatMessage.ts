/** What a conversation is made of, before a template makes a prompt of it. */

export interface ChatMessage {
  readonly role: string
  readonly content: string
  /** What the assistant called. */
  readonly toolCalls?: readonly ToolCall[]
  /** Of a result: the call, and what that called. */
  readonly toolCallId?: string
  readonly name?: string
}

export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly arguments: Readonly<Record<string, unknown>>
}

/** A function that the model may call. */
export interface ToolDefinition {
  readonly type: 'function'
  readonly function: { readonly name: string; readonly description?: string; readonly parameters: unknown }
}

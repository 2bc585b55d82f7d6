/** Where `serve` tells of usage beside its API: a file, another program's address, both or neither. */

import type { Command } from 'commander'
import type { UsageEvent } from '../server.ts'
import { printNote, UsageError } from './output.ts'

export interface UsageFlags {
  readonly usageLog?: string
  readonly usageWebhook?: string
}

export interface UsageSinks {
  readonly onUsage: (event: UsageEvent) => void
  /** Resolves when all is told that can be. */
  close(): Promise<void>
}

const SECRET_VARIABLE = 'TABSWARM_WEBHOOK_SECRET'

export function addUsageOptions(command: Command): Command {
  return command
    .option('--usage-log <file>', 'write a line of JSON there for each API request that is over; tabswarm usage export reads it')
    .option('--usage-webhook <url>', `tell this address of each API request that is over, signed with ${SECRET_VARIABLE}`)
}

/** Throws UsageError, or what is wrong with the address, its secret or the file. */
export async function openUsageSinks({ usageLog, usageWebhook }: UsageFlags, env: NodeJS.ProcessEnv): Promise<UsageSinks> {
  const sinks: { push(event: UsageEvent): void; close(): Promise<void> }[] = []
  if (usageWebhook !== undefined) {
    const secret = env[SECRET_VARIABLE]
    if (secret === undefined) throw new UsageError(`--usage-webhook needs a secret to sign with, in ${SECRET_VARIABLE}`)
    const { openUsageWebhook } = await import('../server.ts')
    sinks.push(openUsageWebhook({ url: usageWebhook, secret, log: printNote }))
  }
  if (usageLog !== undefined) {
    const { UsageFile } = await import('./usageFile.ts')
    sinks.push(await UsageFile.open({ file: usageLog, log: printNote }))
  }
  return {
    onUsage(event) {
      for (const sink of sinks) sink.push(event)
    },
    async close() {
      await Promise.all(sinks.map((sink) => sink.close()))
    },
  }
}

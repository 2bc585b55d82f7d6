/** `tabswarm model …`: get, look at and tokenize with model files. `model run` is in modelRun.ts. */

import type { Command } from 'commander'

/** Adds `model` with its subcommands; returns it, so that others may add theirs. */
export function registerModelCommands(program: Command): Command {
  const model = program.command('model').description('Get, inspect and try model files.')
  return model
}

/**
 * What every command shares: data goes to stdout, everything else to stderr; with --json an error is one JSON object on
 * stdout too. Exit codes: 0 done, 1 failed, 2 bad usage.
 */

import { type Command, CommanderError } from 'commander'
import { TabswarmError, toErrorBody } from '../shared/index.ts'

const EXIT_FAILED = 1
const EXIT_USAGE = 2

/** Arguments that are wrong in a way that the option parser cannot see; ends the process with code 2. */
export class UsageError extends TabswarmError<'bad-usage'> {
  constructor(message: string) {
    super('bad-usage', message)
    this.name = 'UsageError'
  }
}

/** One line of JSON on stdout: the whole output of a command run with --json. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** A line for the person at the terminal; never part of the data. */
export function printNote(text: string): void {
  process.stderr.write(`${text}\n`)
}

/**
 * Progress in bytes to stderr: redrawn in place on a terminal, else a line every tenth. Call with the total at the end to
 * finish the line.
 */
export function progressPrinter(label: string): (bytesDone: number, bytesTotal: number) => void {
  let lastTenth = -1
  return (bytesDone, bytesTotal) => {
    const part = bytesTotal === 0 ? 1 : bytesDone / bytesTotal
    const text = `${label} ${(bytesDone / 1e6).toFixed(1)} of ${(bytesTotal / 1e6).toFixed(1)} MB (${Math.floor(100 * part)} %)`
    const tenth = Math.floor(10 * part)
    if (process.stderr.isTTY) process.stderr.write(`\r${text}${part >= 1 ? '\n' : ''}`)
    else if (tenth !== lastTenth) process.stderr.write(`${text}\n`)
    lastTenth = tenth
  }
}

/** An option's parser: a whole number within [min, max], else a usage error. */
export function wholeNumber(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < min || value > max)
      throw new UsageError(`${name} must be a whole number from ${min} to ${max}, not "${text}"`)
    return value
  }
}

/** An option's parser: a number within [min, max], else a usage error. */
export function realNumber(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isFinite(value) || value < min || value > max)
      throw new UsageError(`${name} must be a number from ${min} to ${max}, not "${text}"`)
    return value
  }
}

/** Runs the program on the arguments after `node script`; resolves to the exit code. Nothing is thrown. */
export async function runProgram(program: Command, args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  process.stdout.on('error', leaveOnBrokenPipe)
  everyCommand(program, (command) => {
    command.exitOverride()
    command.configureOutput({ outputError: () => undefined })
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return typeof process.exitCode === 'number' ? process.exitCode : 0
  } catch (error) {
    return report(error, json)
  }
}

function report(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0
    if (error.code === 'commander.help') {
      if (json) printJson({ error: { reason: 'bad-usage', message: 'a command is missing: see --help' } })
      return EXIT_USAGE
    }
    const message = `${error.message.replace(/^error: /, '')}. See --help.`
    if (json) printJson({ error: { reason: 'bad-usage', message } })
    printNote(`tabswarm: ${message}`)
    return EXIT_USAGE
  }
  const body = toErrorBody(error)
  if (json) printJson({ error: body })
  printNote(`tabswarm: ${body.message}`)
  if (body.reason === 'internal' && error instanceof Error && error.stack !== undefined) printNote(error.stack)
  return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED
}

function everyCommand(command: Command, visit: (command: Command) => void): void {
  visit(command)
  for (const child of command.commands) everyCommand(child, visit)
}

/** `tabswarm model list | head -1`: the reader has gone, nobody is left to tell. */
function leaveOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
}

/** The audit log as its commands write and show it, beside a real store. */

import { appendFile, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { registerAuditLogCommand } from '../../src/cli/auditLog.ts'
import { registerKeyCommands } from '../../src/cli/key.ts'
import { registerLedgerCommands } from '../../src/cli/ledger.ts'
import { runProgram } from '../../src/cli/output.ts'

let folder: string
beforeAll(async () => {
  vi.stubEnv('DATABASE_URL', '')
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'tabswarm-actions-')), 'data')
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await rm(path.dirname(folder), { recursive: true })
})

/** What the command prints; as a process would run it, without the process. */
async function run(...args: string[]): Promise<string> {
  const program = new Command('tabswarm')
  for (const register of [registerKeyCommands, registerLedgerCommands, registerAuditLogCommand]) register(program)
  let printed = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text
    return true
  })
  const silent = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  try {
    const code = await runProgram(program, [...args, '--data', folder])
    if (code !== 0) throw new Error(`it ended with ${code}`)
    return printed
  } finally {
    write.mockRestore()
    silent.mockRestore()
  }
}
const log = async (...args: string[]) => (await run('audit-log', '--json', ...args)).split('\n').filter((line) => line !== '')

it('records what commands did, in order, without the key; and is read by whom it is about', async () => {
  const { id, key, account } = JSON.parse(await run('key', 'create', '--name', 'of a stranger', '--budget', '2', '--json'))
  await run('ledger', 'grant', account, '1.5', '--reference', 'one')
  await run('ledger', 'grant', account, '1.5', '--reference', 'one')
  await expect(run('key', 'revoke', '0'.repeat(16))).rejects.toThrow()
  await run('key', 'revoke', id)
  const lines = await log()
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { by: 'command', action: 'create-key', on: id, details: { payer: account, budget: '2' } },
    // Repeated, it grants nothing, and is not recorded again.
    { by: 'command', action: 'grant', on: account, details: { credits: '1.5', reference: 'one' } },
    { by: 'command', action: 'revoke-key', on: id },
  ])
  for (const secret of [key, 'stranger']) expect(lines.join()).not.toContain(secret)
  expect((await log('--about', id)).map((line) => JSON.parse(line).action)).toEqual(['create-key', 'revoke-key'])
  expect((await log('--about', account)).map((line) => JSON.parse(line).action)).toEqual(['create-key', 'grant'])
  expect(await log('--since', '2999-01-01')).toEqual([])
  expect((await stat(path.join(folder, 'actions.jsonl'))).mode & 0o777).toBe(0o600)
  await appendFile(path.join(folder, 'actions.jsonl'), '{"at":"2027')
  await run('ledger', 'rebuild')
  expect((await log()).map((line) => JSON.parse(line).action).at(-1)).toBe('rebuild-balances')
})

/** The command-line program: a composition root that only names the commands; each lives in its own file of cli/. */

import { Command } from 'commander'
import packageJson from '../package.json' with { type: 'json' }
import { registerAccountCommands } from './cli/account.ts'
import { registerAuditCommand } from './cli/audit.ts'
import { registerAuditLogCommand } from './cli/auditLog.ts'
import { registerBackupCommands } from './cli/backup.ts'
import { registerBenchCommands } from './cli/bench.ts'
import { registerChaosCommand } from './cli/chaos.ts'
import { registerContributeCommand } from './cli/contribute.ts'
import { registerDemoCommand } from './cli/demo.ts'
import { registerKeyCommands } from './cli/key.ts'
import { registerLedgerCommands } from './cli/ledger.ts'
import { registerModelCommands } from './cli/model.ts'
import { registerModelRunCommand } from './cli/modelRun.ts'
import { runProgram } from './cli/output.ts'
import { registerServeCommand } from './cli/serve.ts'
import { registerSimCommand } from './cli/sim.ts'
import { registerTeamCommands } from './cli/team.ts'
import { registerUsageCommand } from './cli/usage.ts'

const program = new Command('tabswarm')
  .description('An LLM cloud made of idle GPUs in browser tabs.')
  .version(packageJson.version)
  .showHelpAfterError(false)
  .enablePositionalOptions()

registerServeCommand(program)
registerContributeCommand(program)
registerDemoCommand(program)
registerChaosCommand(program)
registerAuditCommand(program)
registerSimCommand(program)
registerModelRunCommand(registerModelCommands(program))
registerAccountCommands(program)
registerKeyCommands(program)
registerTeamCommands(program)
registerLedgerCommands(program)
registerUsageCommand(program)
registerAuditLogCommand(program)
registerBackupCommands(program)
registerBenchCommands(program)

process.exitCode = await runProgram(program, process.argv.slice(2))

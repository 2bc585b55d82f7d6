/** auditor: the coordinator's own engine, which computes what was audited once more, in a process of its own. Node only. */

export { AuditorProcess } from './auditorProcess.ts'

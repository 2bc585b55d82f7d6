import { shortRun } from '../src/sim/presets.ts'
import { simulate } from '../src/sim/simulate.ts'
import { CoordinatorCore } from '../src/coordinator/core/index.ts'
const drain = (cb: () => void) => { void Promise.resolve().then(() => process.nextTick(cb)) }
const START=1700000000000
class Log extends CoordinatorCore {
  override handle(event: any, nowMs: number): any {
    const t=((nowMs-START)/1000).toFixed(2)
    const effects = super.handle(event, nowMs)
    if (event.kind==='message' && !['pong','measured','admit','progress','ended'].includes(event.message.type)) console.log(t,'<',event.peerId.slice(-2),JSON.stringify(event.message).slice(0,160))
    if (event.kind==='disconnected'||event.kind==='connected') console.log(t,'<',event.kind,event.peerId.slice(-2))
    for (const e of effects as any[]) {
      if (e.kind==='send' && !['ping','network'].includes(e.message.type)) console.log(t,'>',e.peerId.slice(-2), e.message.type==='assign'?`assign ${e.message.span.firstLayer}-${e.message.span.endLayer}`:JSON.stringify(e.message).slice(0,140))
      if (e.kind==='admit') console.log(t,'> admit', e.grant.sessionId.slice(-2),'rev',e.grant.revision, e.grant.stages.map((s:any)=>`${s.peerId.slice(-2)}:${s.firstLayer}-${s.endLayer}`).join(' '))
      if (e.kind==='close') console.log(t,'> close',e.peerId.slice(-2),e.error.reason)
    }
    return effects
  }
}
const seed=Number(process.argv[2])
const { broken } = await simulate({ ...shortRun({ seed, scenario: null, stagesMin: 2, drain }), sabotage: { makeCore: (o: any) => new Log(o) } } as any)
console.log(broken?.kind, broken?.what)

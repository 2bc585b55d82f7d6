import { Plan } from '../src/coordinator/core/plan.ts'
const orig = (Plan.prototype as any).update
let last=''
;(Plan.prototype as any).update = function (input: any) {
  const r = orig.call(this, input)
  const t=((input.nowMs-1700000000000)/1000)
  if (t>150 && t<300) {
    const s=[...input.peers.values()].filter((p:any)=>p.pledge!==null).map((p:any)=>`${p.peerId.slice(-2)}:${p.memoryBytes/1e6}${this.placeOf(p.peerId)?`@${this.placeOf(p.peerId).span.firstLayer}-${this.placeOf(p.peerId).span.endLayer}`:'@none'}${p.failures?'F'+p.failures:''}${p.draining?'D':''}${input.nowMs<p.blockedUntilMs?'B':''}`).join(' ')
    if (s!==last) console.log('PLAN',t.toFixed(2),s); last=s
  }
  return r
}
await import('./d.ts')

/** node/rtc: WebRTC in Node, without all else that only Node has. */

export { installRtcGlobals } from './rtcGlobals.ts'

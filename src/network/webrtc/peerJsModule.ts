/** PeerJS's exports, by their names: bundlers take its ES module, and Node its CommonJS one, whose exports Node finds under `default` alone. */

import * as module from 'peerjs'

const { BufferedConnection, Peer } = 'Peer' in module ? module : (module as { default: typeof import('peerjs') }).default

export { BufferedConnection, Peer }

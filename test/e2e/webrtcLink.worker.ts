/** The worker of webrtcLinkPage.ts: takes links over as an engine's worker does, and runs the acceptance suite between two of them. */

import { expose } from 'comlink'
import { type HandedLink, takeOver } from '../../src/network/index.ts'
import { linkSuite } from '../../src/network/link.suite.ts'
import type { Link } from '../../src/protocol/index.ts'
import type { PeerId } from '../../src/shared/index.ts'
import { pageClock, until } from './webrtcLinkTime.ts'

const links = new Map<PeerId, Link>()
const sizes: number[] = []
const ends: string[] = []

const linkWorker = {
  /** One case of the suite; resolves with 'passed' or what went wrong. */
  async runCase(name: string, near: HandedLink, far: HandedLink): Promise<string> {
    try {
      const found = linkSuite.find((candidate) => candidate.name === name)
      const pair = { near: await takeOver(near, pageClock), far: await takeOver(far, pageClock), until }
      await found?.run(pair)
      return found === undefined ? 'no such case' : 'passed'
    } catch (error) {
      return String(error)
    }
  },

  /** Listens, and keeps the sizes of what comes. */
  async take(handed: HandedLink): Promise<void> {
    const link = await takeOver(handed, pageClock)
    links.set(link.peerId, link)
    link.listen({ onFrame: (frame) => sizes.push(frame.byteLength), onClose: ({ reason }) => ends.push(reason) })
  },

  send(peerId: PeerId, frameSizes: readonly number[]): void {
    for (const bytes of frameSizes) links.get(peerId)?.send(new Uint8Array(bytes))
  },

  heard: () => ({ sizes, ends }),
}

export type LinkWorker = typeof linkWorker

expose(linkWorker)

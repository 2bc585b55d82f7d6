/** Root of the thread of a driver's grammars: one request after the other. */

import { parentPort } from 'node:worker_threads'
import { required, SerialQueue } from '../shared/index.ts'
import type { ToGrammars } from './grammarMessages.ts'
import { GrammarSessions } from './grammarSessions.ts'
import { loadXgrammar } from './xgrammar.ts'

let words = ''
const library = loadXgrammar((text) => {
  words = text
})
const port = required(parentPort, 'a driver that began this thread')
const sessions = new GrammarSessions(library, () => words)
const queue = new SerialQueue()
port.on('message', (message: ToGrammars) => {
  void queue.run(async () => {
    const answer = await sessions.handle(message)
    if (answer !== null) port.postMessage(answer)
  })
})

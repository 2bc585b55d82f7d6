import { describe, expect, it } from 'vitest'
import { required, TabswarmError } from '../shared/index.ts'
import { createChatStore, type Reply } from './chatStore.ts'
import { FakeRuntime, fakeStage } from './testing/fakeRuntime.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

function start(runtime = new FakeRuntime()) {
  const store = createChatStore({ runtime, randomSeed: () => 77 })
  const reply = (): Reply => {
    const last = store.getState().entries.at(-1)
    if (last?.role !== 'assistant') throw new Error('the last entry is not a reply')
    return last
  }
  return { store, runtime, reply, ask: (at: number) => required(runtime.asks[at], `ask ${at}`) }
}

describe('chat store', () => {
  it('sends a question and streams the reply into one growing entry; older entries stay the same objects', async () => {
    const { store, reply, ask } = start()
    store.getState().send('  What is the capital of France? ')
    const question = store.getState().entries[0]
    expect(question).toMatchObject({ role: 'user', text: 'What is the capital of France?' })
    expect(ask(0).request).toMatchObject({ maxTokens: 512, sampling: { temperature: 0, seed: 77 } })

    ask(0).progress({ phase: 'answering', text: 'The capital', route: [fakeStage('aa', 0, 30)] })
    expect(reply()).toMatchObject({ text: 'The capital', status: { kind: 'running', progress: { phase: 'answering' } } })
    ask(0).progress({ text: 'The capital of France is Paris.' })
    ask(0).resolve()
    await settled()
    expect(reply()).toMatchObject({ text: 'The capital of France is Paris.', status: { kind: 'done' } })
    expect(store.getState().entries[0]).toBe(question)
    expect(store.getState().answering).toBe(false)
  })

  it('keeps the context of a follow-up by sending the whole history', async () => {
    const { store, ask } = start()
    store.getState().send('One?')
    ask(0).progress({ text: 'One.' })
    ask(0).resolve()
    await settled()
    store.getState().send('Two?')
    expect(ask(1).request.prompt).toEqual({
      kind: 'messages',
      messages: [
        { role: 'user', content: 'One?' },
        { role: 'assistant', content: 'One.' },
        { role: 'user', content: 'Two?' },
      ],
    })
  })

  it('stops, and keeps what was answered', async () => {
    const { store, reply, ask } = start()
    store.getState().send('Count.')
    ask(0).progress({ phase: 'answering', text: 'One, two' })
    store.getState().stop()
    expect(reply().status).toMatchObject({ kind: 'running', stopping: true })
    await settled()
    expect(ask(0).stopped).toBe(true)
    expect(reply()).toMatchObject({ text: 'One, two', status: { kind: 'done', answer: { finishReason: 'cancelled' } } })
  })

  it('shows an error with what was answered before it, and asks again in its place', async () => {
    const { store, reply, ask } = start()
    store.getState().send('Hello')
    ask(0).progress({ text: 'Hel' })
    ask(0).reject(new TabswarmError('stage-lost', 'The tab with layers 1–15 went away. Ask again.'))
    await settled()
    expect(reply()).toMatchObject({ text: 'Hel', status: { kind: 'failed', error: { reason: 'stage-lost' } } })
    store.getState().retry()
    expect(store.getState().entries).toHaveLength(2)
    expect(ask(1).request.prompt).toEqual({ kind: 'messages', messages: [{ role: 'user', content: 'Hello' }] })
  })

  it('leaves a question that was never answered out of the next prompt', async () => {
    const { store, ask } = start()
    store.getState().send('Lost')
    ask(0).reject(new TabswarmError('no-route', 'Nobody is contributing.'))
    await settled()
    store.getState().send('Again')
    expect(ask(1).request.prompt).toEqual({ kind: 'messages', messages: [{ role: 'user', content: 'Again' }] })
  })

  it('goes on answering while nobody looks at the store', async () => {
    const { store, reply, ask } = start()
    const unsubscribe = store.subscribe(() => undefined)
    store.getState().send('Hello')
    unsubscribe()
    ask(0).progress({ text: 'Hi there.' })
    ask(0).resolve()
    await settled()
    expect(reply()).toMatchObject({ text: 'Hi there.', status: { kind: 'done' } })
  })

  it('forgets everything with a new chat, stops what runs and ignores what still arrives', async () => {
    const { store, ask } = start()
    store.getState().send('Hello')
    store.getState().newChat()
    expect(ask(0).stopped).toBe(true)
    ask(0).progress({ text: 'late' })
    await settled()
    expect(store.getState()).toMatchObject({ entries: [], answering: false })
  })

  it('takes one question at a time, and none of mere space', () => {
    const { store, runtime } = start()
    store.getState().send('  \n ')
    store.getState().send('First')
    store.getState().send('Second')
    expect(runtime.asks).toHaveLength(1)
  })

  it('uses the options, a fixed seed among them', () => {
    const { store, ask } = start()
    store.getState().setOptions({ temperature: 0, maxTokens: 16, seed: 5, tier: 'spot' })
    store.getState().send('Hello')
    expect(ask(0).request).toMatchObject({ maxTokens: 16, tier: 'spot', sampling: { temperature: 0, seed: 5 } })
  })

  it('says what to do when no model is known yet', () => {
    const { store, reply } = start(new FakeRuntime({ defaultModelId: null, network: null }))
    store.getState().send('Hello')
    expect(reply().status).toMatchObject({ kind: 'failed', error: { reason: 'no-model' } })
    expect(store.getState().answering).toBe(false)
  })
})

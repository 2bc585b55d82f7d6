import { describe, expect, it } from 'vitest'
import { TabswarmError } from '../shared/index.ts'
import { chooseEngine, type EngineOpeners, type OpenedEngine } from './chooseEngine.ts'
import { createCpuEngine } from './cpu/cpuEngine.ts'

interface Opened extends OpenedEngine {
  readonly name: string
}

/** Openers of engines with these speeds; an error instead of a speed is what opening rejects with. */
function openers(webgpu: { speed: number; software: boolean } | Error, wasm: number | Error) {
  const opened: string[] = []
  const disposed: string[] = []
  const open = async (name: string, speed: number | Error, software: boolean): Promise<Opened> => {
    opened.push(name)
    if (speed instanceof Error) throw speed
    const engine = Object.assign(createCpuEngine({ nowMs: () => 0 }), { dispose: () => void disposed.push(name) })
    return { name, engine, adapter: name, software, macsPerSecond: speed }
  }
  const ports: EngineOpeners = {
    webgpu: () => (webgpu instanceof Error ? open('webgpu', webgpu, false) : open('webgpu', webgpu.speed, webgpu.software)),
    wasm: () => open('wasm', wasm, true),
  }
  return { ports, opened, disposed }
}

const noAdapter = new TabswarmError('no-adapter', 'no GPU here')

describe('chooseEngine', () => {
  it('takes a hardware GPU without opening anything else', async () => {
    const { ports, opened } = openers({ speed: 1, software: false }, 100)
    expect(await chooseEngine('auto', ports)).toMatchObject({ name: 'webgpu' })
    expect(opened).toEqual(['webgpu'])
  })

  it.each([
    [10, 20, 'wasm', 'webgpu'],
    [20, 10, 'webgpu', 'wasm'],
  ])('of a software adapter of speed %i and WebAssembly of speed %i takes %s, and disposes of %s', async (gpu, wasm, taken, dropped) => {
    const { ports, disposed } = openers({ speed: gpu, software: true }, wasm)
    expect(await chooseEngine('auto', ports)).toMatchObject({ name: taken })
    expect(disposed).toEqual([dropped])
  })

  it('goes on with WebAssembly where there is no GPU, and with the software adapter where WebAssembly fails', async () => {
    expect(await chooseEngine('auto', openers(noAdapter, 5).ports)).toMatchObject({ name: 'wasm' })
    expect(await chooseEngine('auto', openers({ speed: 1, software: true }, new Error('blocked')).ports)).toMatchObject({ name: 'webgpu' })
  })

  it('does not hide other failures, nor take what was not chosen', async () => {
    const insecure = new TabswarmError('insecure-context', 'https only')
    await expect(chooseEngine('auto', openers(insecure, 5).ports)).rejects.toBe(insecure)
    await expect(chooseEngine('webgpu', openers(noAdapter, 5).ports)).rejects.toBe(noAdapter)
    const { ports, opened } = openers({ speed: 100, software: false }, 5)
    expect(await chooseEngine('wasm', ports)).toMatchObject({ name: 'wasm' })
    expect(opened).toEqual(['wasm'])
  })
})

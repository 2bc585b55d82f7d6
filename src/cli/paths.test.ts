import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { addPathOptions, type PathFlags, pathOptions } from './paths.ts'

function parse(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const command = addPathOptions(new Command('serve').exitOverride())
  command.parse([...args], { from: 'user' })
  return pathOptions(command.opts<PathFlags>(), env)
}

describe('--stun, --turn and --relay', () => {
  it('name no host by default, and let the coordinator relay', () => {
    expect(parse([])).toEqual({ stunUrls: [], turn: null, iceTransportPolicy: 'all', relay: true })
  })

  it('take several servers, and the secret from an option or from the environment', () => {
    const stun = ['stun:stun.example', 'stun:[2001:db8::1]:3478']
    const turn = ['turn:turn.example:3478?transport=udp', 'turns:192.0.2.7:443?transport=tcp']
    const expected = { stunUrls: stun, turn: { urls: turn, secret: 's3cret' }, iceTransportPolicy: 'relay', relay: false }
    const args = ['--stun', ...stun, '--turn', ...turn, '--ice-policy', 'relay', '--relay', 'off']
    expect(parse([...args, '--turn-secret', 's3cret'])).toEqual(expected)
    expect(parse(args, { TABSWARM_TURN_SECRET: 's3cret' })).toEqual(expected)
  })

  it.each([
    [['--turn', 'turn:turn.example'], /--turn-secret, or set TABSWARM_TURN_SECRET/],
    [['--turn', 'turn:turn.example', '--turn-secret', ''], /--turn-secret, or set/],
    [['--turn-secret', 'x'], /name them with --turn/],
    [['--stun', 'stun.example'], /--stun takes stun:HOST/],
    [['--stun', 'turn:turn.example'], /--stun takes stun:HOST/],
    [['--turn', 'http://turn.example', '--turn-secret', 'x'], /--turn takes turn:HOST/],
    [['--stun', 'stun:a', 'stun:b', 'stun:c', 'stun:d', 'stun:e'], /at most 4 servers, not 5/],
  ])('refuse %j, and say what to give', (args, message) => {
    expect(() => parse(args)).toThrow(message)
  })
})

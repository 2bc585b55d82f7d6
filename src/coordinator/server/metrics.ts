/**
 * Metrics in Prometheus' form: what the API was asked and how it went, what the swarms can do now, and what the process uses. Sums and counts alone:
 * nothing of one account, one key or one text.
 */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { NetworkSummary } from '../../protocol/index.ts'
import type { ApiRequestEntry } from '../gateway/index.ts'
import { layersCovered } from './coverage.ts'

export interface MetricsSource {
  readonly summary: () => NetworkSummary
  /** Answers that are under way. */
  readonly answersRunning: () => number
}

const REQUEST_SECONDS = [0.01, 0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300]
const FIRST_TEXT_SECONDS = [0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]

export class Metrics {
  readonly #registry = new Registry()
  readonly #source: MetricsSource
  readonly #requests: Counter
  readonly #seconds: Histogram
  readonly #firstText: Histogram
  readonly #tokens: Counter
  readonly #swarms: Readonly<Record<'peers' | 'layers' | 'covered' | 'sessions', Gauge>>
  #hasProcess = false

  constructor(source: MetricsSource) {
    this.#source = source
    const registers = [this.#registry]
    const named = (name: string, help: string, ...labelNames: string[]) => ({ name: `tabswarm_${name}`, help, labelNames, registers })
    this.#requests = new Counter(named('api_requests_total', 'Requests to /v1 that are over.', 'method', 'route', 'status', 'code'))
    this.#seconds = new Histogram({
      ...named('api_request_seconds', 'From a request to the end of its answer.', 'route'),
      buckets: REQUEST_SECONDS,
    })
    this.#firstText = new Histogram({
      ...named('api_first_text_seconds', 'From a request to the first of its text.', 'model'),
      buckets: FIRST_TEXT_SECONDS,
    })
    this.#tokens = new Counter(named('api_tokens_total', 'Tokens of requests that were answered.', 'model', 'kind'))
    const running: Gauge = new Gauge({
      ...named('api_answers_running', 'Answers that are under way.'),
      collect: () => void running.set(source.answersRunning()),
    })
    const peers = new Gauge({ ...named('swarm_volunteers', 'Tabs that contribute, by what they do.', 'model', 'state') })
    const layers = new Gauge({ ...named('swarm_layers', 'Layers of a model.', 'model') })
    const covered = new Gauge({ ...named('swarm_layers_covered', 'Layers of a model that somebody serves.', 'model') })
    this.#swarms = { peers, layers, covered, sessions: new Gauge(named('swarm_sessions', 'Sessions that are open.', 'model')) }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  request({ method, route, status, durationMs, model, promptTokens, completionTokens, firstTextMs, code }: ApiRequestEntry): void {
    const known = route ?? 'none'
    this.#requests.inc({ method, route: known, status, code: code ?? '' })
    this.#seconds.observe({ route: known }, durationMs / 1_000)
    if (model === null) return
    if (firstTextMs !== null) this.#firstText.observe({ model }, firstTextMs / 1_000)
    this.#tokens.inc({ model, kind: 'prompt' }, promptTokens)
    this.#tokens.inc({ model, kind: 'completion' }, completionTokens)
  }

  render(): Promise<string> {
    // What watches a process costs a little: from the first time that somebody looks.
    if (!this.#hasProcess) collectDefaultMetrics({ register: this.#registry, prefix: 'tabswarm_' })
    this.#hasProcess = true
    this.#countSwarms()
    return this.#registry.metrics()
  }

  #countSwarms(): void {
    const { peers, layers, covered, sessions } = this.#swarms
    peers.reset()
    for (const { modelId: model, volunteers, layerCount, sessions: open } of this.#source.summary().swarms) {
      for (const { state } of volunteers) peers.inc({ model, state })
      layers.set({ model }, layerCount)
      covered.set({ model }, layersCovered(volunteers.flatMap(({ state, span }) => (state === 'serving' && span !== null ? [span] : []))))
      sessions.set({ model }, open)
    }
  }
}

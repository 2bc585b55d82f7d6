/** The web app: provider, shell and routes. Everything it knows comes from the runtime handed in. */

import '@mantine/core/styles.css'
import './base.css'
import { Container, MantineProvider, Text } from '@mantine/core'
import { lazy, type ReactNode, Suspense, useState } from 'react'
import { Route, Switch } from 'wouter'
import type { PeerRuntime } from '../peer/index.ts'
import type { BenchHost } from './bench/benchHost.ts'
import { randomSeed } from './browser.ts'
import { createChatStore } from './chatStore.ts'
import { HomePage } from './homePage.tsx'
import { NotFoundPage } from './notFoundPage.tsx'
import { UiContext, type UiServices } from './runtimeContext.ts'
import { Shell } from './shell.tsx'
import { cssVariables, theme } from './theme.ts'

const ContributePage = lazy(async () => ({ default: (await import('./contribute/contributePage.tsx')).ContributePage }))
const AccountPage = lazy(async () => ({ default: (await import('./account/accountPage.tsx')).AccountPage }))
const BenchPage = lazy(async () => ({ default: (await import('./bench/benchPage.tsx')).BenchPage }))
const AdminPage = lazy(async () => ({ default: (await import('./admin/adminPage.tsx')).AdminPage }))
const ReferencePage = lazy(async () => ({ default: (await import('./reference/referencePage.tsx')).ReferencePage }))
/** Markdown is most of its weight. */
const ChatPage = lazy(async () => ({ default: (await import('./chat/chatPage.tsx')).ChatPage }))

export interface AppProps {
  readonly runtime: PeerRuntime
  readonly bench: BenchHost
}

export function App({ runtime, bench }: AppProps) {
  const [services] = useState<UiServices>(() => ({ runtime, bench, chat: createChatStore({ runtime, randomSeed }) }))
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <UiContext value={services}>
        <Shell>
          <Suspense fallback={<Loading />}>
            <Switch>
              <Route path="/" component={HomePage} />
              <Route path="/contribute" component={ContributePage} />
              <Route path="/chat" component={ChatPage} />
              <Route path="/account" component={AccountPage} />
              <Route path="/admin" component={AdminPage} />
              <Route path="/bench" component={BenchPage} />
              <Route path="/reference" component={ReferencePage} />
              <Route component={NotFoundPage} />
            </Switch>
          </Suspense>
        </Shell>
      </UiContext>
    </MantineProvider>
  )
}

function Loading(): ReactNode {
  return (
    <Container py="xl">
      <Text c="dimmed">Opening the page …</Text>
    </Container>
  )
}

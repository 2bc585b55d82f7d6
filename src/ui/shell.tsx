/** What stands around every page: the way to the other pages, and a word when the coordinator cannot be reached. */

import { Anchor, Group } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { ConnectionBanner } from './connectionBanner.tsx'
import { Mark } from './icons.tsx'
import { LedgerAlarm } from './ledgerAlarm.tsx'
import { usePeer } from './runtimeContext.ts'
import styles from './shell.module.css'

const PAGES = [
  { path: '/contribute', name: 'Contribute' },
  { path: '/chat', name: 'Chat' },
  { path: '/bench', name: 'Benchmark' },
  { path: '/account', name: 'Account' },
] as const

export function Shell({ children }: { readonly children: ReactNode }) {
  const [location] = useLocation()
  const serving = usePeer((state) => state.volunteer.kind === 'serving')
  return (
    <>
      <a href="#main" className={styles.skip}>
        Skip to the content
      </a>
      <header className={styles.header}>
        <Group justify="space-between" wrap="nowrap" gap="sm" className={styles.inner}>
          <Anchor component={Link} href="/" underline="never" className={styles.brand} aria-label="Tabswarm, home">
            <Mark />
            <span className={styles.word}>Tabswarm</span>
          </Anchor>
          <nav aria-label="Pages" className={styles.nav}>
            {PAGES.map(({ path, name }) => (
              <Link key={path} href={path} className={styles.link ?? ''} aria-current={location === path ? 'page' : undefined}>
                {name}
                {path === '/contribute' && serving && <span className={styles.live} role="img" aria-label="this tab is serving" />}
              </Link>
            ))}
          </nav>
        </Group>
      </header>
      <ConnectionBanner />
      <main id="main" tabIndex={-1} className={styles.main}>
        <LedgerAlarm />
        {children}
      </main>
    </>
  )
}

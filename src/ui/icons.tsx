/** The few icons, drawn here so that no icon font or package is loaded. All are decoration: a label stands beside or on the button. */

import type { ReactNode } from 'react'

function Icon({ children }: { readonly children: ReactNode }) {
  return (
    <svg
      width="18"
      height="18"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  )
}

export function SendIcon() {
  return (
    <Icon>
      <path d="M12 20V5M5.5 11.5 12 5l6.5 6.5" />
    </Icon>
  )
}

export function StopIcon() {
  return (
    <Icon>
      <rect x="6" y="6" width="12" height="12" rx="2" fill="currentColor" />
    </Icon>
  )
}

export function TuneIcon() {
  return (
    <Icon>
      <path d="M4 7h9M19 7h1M4 17h1M11 17h9" />
      <circle cx="16" cy="7" r="2.5" />
      <circle cx="8" cy="17" r="2.5" />
    </Icon>
  )
}

export function RouteIcon() {
  return (
    <Icon>
      <circle cx="5" cy="12" r="2.5" />
      <circle cx="19" cy="6" r="2.5" />
      <circle cx="19" cy="18" r="2.5" />
      <path d="M7.4 11 16.6 7M7.4 13l9.2 4" />
    </Icon>
  )
}

/** The mark: one cell with three layers. */
export function Mark() {
  return (
    <svg width="30" height="30" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M16 2.5 27.7 9.25v13.5L16 29.5 4.3 22.75V9.25z" fill="var(--ts-band)" />
      <path d="M9 12.5h14M9 16h14M9 19.5h8" stroke="var(--ts-band-ink)" strokeWidth="2.2" strokeLinecap="round" />
    </svg>
  )
}

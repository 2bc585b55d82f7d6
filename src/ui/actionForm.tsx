/** A form whose button and Enter key do the same thing, which the page does itself. */

import type { ReactNode } from 'react'

interface ActionFormProps {
  readonly className?: string | undefined
  /** Also called where the button is disabled: says nothing then. */
  readonly onSubmit: () => void
  readonly children: ReactNode
}

export function ActionForm({ className, onSubmit, children }: ActionFormProps) {
  return (
    <form
      className={className}
      onSubmit={(event) => {
        event.preventDefault()
        onSubmit()
      }}
    >
      {children}
    </form>
  )
}

/** A link to the same choice of cases. Where the browser refuses the clipboard, the link is shown to be copied by hand. */

import { Button, TextInput } from '@mantine/core'
import { useState } from 'react'
import { copyText, pageAddress } from '../browser.ts'

type Copied =
  | { readonly kind: 'no' }
  | { readonly kind: 'yes'; readonly link: string }
  | { readonly kind: 'by-hand'; readonly link: string }

export function CopyLink({ parameters }: { readonly parameters: () => URLSearchParams }) {
  const [copied, setCopied] = useState<Copied>({ kind: 'no' })
  const link = pageAddress(parameters())
  const copy = async () => setCopied({ kind: (await copyText(link)) ? 'yes' : 'by-hand', link })
  const done = copied.kind === 'yes' && copied.link === link
  return (
    <>
      <Button variant="default" size="md" onClick={copy} data-testid="bench-link" data-link={link}>
        <span aria-live="polite">{done ? 'Link copied' : 'Copy link to this choice'}</span>
      </Button>
      {copied.kind === 'by-hand' && copied.link === link && (
        <TextInput
          readOnly
          value={link}
          aria-label="Link to this choice"
          flex={1}
          miw={220}
          onFocus={(event) => event.currentTarget.select()}
        />
      )}
    </>
  )
}

/** The route panel on narrow screens. Mounted while it is open. */

import { Drawer, Group } from '@mantine/core'
import { type RouteFigures, RoutePanel } from './routePanel.tsx'

export function RouteDrawer({ figures, onClose }: { readonly figures: RouteFigures | null; readonly onClose: () => void }) {
  return (
    <Drawer.Root opened onClose={onClose} position="bottom" size="auto">
      <Drawer.Overlay />
      <Drawer.Content>
        <Drawer.Body pt="md">
          {/* Not Drawer.Header: it is a second banner on the page. */}
          <Group justify="space-between" mb="sm">
            <Drawer.Title c="dimmed">Route of the answer</Drawer.Title>
            <Drawer.CloseButton aria-label="Close" />
          </Group>
          <RoutePanel figures={figures} />
        </Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  )
}

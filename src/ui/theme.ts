/**
 * The design system: honey on warm paper, ink at night. Everything else in the UI takes its colours, type and space from here
 * and from base.css. System fonts only: no page asks another host for anything.
 */

import { type CSSVariablesResolver, createTheme, type MantineColorsTuple, Paper, Title } from '@mantine/core'

const honey: MantineColorsTuple = [
  '#fff8e8',
  '#fdeecb',
  '#fbdf9f',
  '#f8cd6b',
  '#f5bd42',
  '#f0a81c',
  '#d08d0c',
  '#a06a05',
  '#835500',
  '#5f3d00',
]

/** Warm greys, so that dark is ink and not slate. Mantine takes text from the light end and surfaces from the dark end. */
const dark: MantineColorsTuple = [
  '#ece7dd',
  '#cfc8ba',
  '#b3ab9b',
  '#8f8778',
  '#575044',
  '#3d382f',
  '#2c2822',
  '#1f1c18',
  '#171512',
  '#0e0d0b',
]

const gray: MantineColorsTuple = [
  '#faf8f4',
  '#f3f0ea',
  '#e8e3da',
  '#dad4c8',
  '#bfb8aa',
  '#9c9485',
  '#6b6456',
  '#565044',
  '#3b372f',
  '#23201b',
]

export const theme = createTheme({
  colors: { honey, dark, gray },
  primaryColor: 'honey',
  primaryShade: 5,
  autoContrast: true,
  luminanceThreshold: 0.4,
  black: '#23201b',
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Title: Title.extend({ defaultProps: { textWrap: 'balance' } }),
    Paper: Paper.extend({ styles: { root: { backgroundColor: 'var(--ts-surface)', borderColor: 'var(--ts-line)' } } }),
  },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
  headings: {
    fontWeight: '650',
    sizes: {
      h1: { fontSize: 'clamp(1.75rem, 1.35rem + 1.8vw, 2.6rem)', lineHeight: '1.15' },
      h2: { fontSize: '1.25rem', lineHeight: '1.3' },
      h3: { fontSize: '1.05rem', lineHeight: '1.35' },
    },
  },
})

/** Colours that mean something, once for each theme. All text pairs pass AA (checked with axe by scripts/screenshots.mjs). */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#faf8f4',
    '--mantine-color-dimmed': '#625b4e',
    '--mantine-color-anchor': '#7a4f00',
    '--mantine-color-placeholder': '#6b6456',
    '--mantine-color-error': '#a92a1c',
    '--ts-surface': '#ffffff',
    '--ts-line': '#e5dfd3',
    '--ts-band': '#f0a81c',
    '--ts-band-soft': '#fbe7b8',
    '--ts-band-ink': '#2b1d00',
    '--ts-own': '#1f6f5c',
    '--ts-own-soft': '#d3ebe4',
    '--ts-user': '#f3ead6',
    '--ts-good': '#1f6f5c',
  },
  dark: {
    '--mantine-color-body': '#171512',
    '--mantine-color-dimmed': '#ada595',
    '--mantine-color-anchor': '#f5bd42',
    '--mantine-color-placeholder': '#9a9283',
    '--mantine-color-error': '#ff9a8a',
    '--ts-surface': '#1f1c18',
    '--ts-line': '#37322a',
    '--ts-band': '#e09f1f',
    '--ts-band-soft': '#443312',
    '--ts-band-ink': '#1d1400',
    '--ts-own': '#5fc7ac',
    '--ts-own-soft': '#1c3d35',
    '--ts-user': '#2f2a20',
    '--ts-good': '#5fc7ac',
  },
})

/** figureLines: nested figures as text, every line with its label. */

const LABEL_WIDTH = 18

/** A line for each figure; one for a group of figures, or one for its name and those of the group below. */
export function figureLines(figures: object, indent = ''): string[] {
  return Object.entries(figures).flatMap(([name, value]) => {
    const label = `${indent}${name.padEnd(LABEL_WIDTH)}`
    if (!isGroup(value)) return [label + textOf(value)]
    const inner = Object.entries(value)
    if (inner.some(([, one]) => isGroup(one) || Array.isArray(one))) return [label.trimEnd(), ...figureLines(value, `${indent}  `)]
    return [label + (inner.map(([key, one]) => `${key} ${textOf(one)}`).join(', ') || '–')]
  })
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? value.join('; ') : `${value ?? '–'}`
}

import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, it } from 'vitest'
import { Markdown } from './markdown.tsx'

const html = (text: string) => renderToStaticMarkup(<Markdown text={text} />)

describe('markdown of a model', () => {
  it('renders what models write: lists, code, tables', () => {
    expect(html('- **one**\n- `two`')).toContain('<strong>one</strong>')
    expect(html('| a | b |\n|---|---|\n| 1 | 2 |')).toContain('<td>1</td>')
    expect(html('```js\nlet a\n```')).toContain('<code class="language-js">')
  })

  it('lets no HTML through', () => {
    const text = html('before <script>alert(1)</script> <img src=x onerror=alert(1)> after')
    expect(text).not.toMatch(/<script|<img|onerror/)
    expect(text).toContain('before')
    expect(text).toContain('after')
  })

  it('refuses links that run code, and opens the others apart', () => {
    expect(html('[x](javascript:alert(1))')).not.toContain('javascript:')
    expect(html('[x](https://example.org)')).toMatch(/href="https:\/\/example.org" target="_blank" rel="noopener noreferrer nofollow"/)
  })

  it('loads no image: shows a link to it', () => {
    const text = html('![a bee](https://example.org/bee.png)')
    expect(text).not.toContain('<img')
    expect(text).toContain('href="https://example.org/bee.png"')
    expect(text).toContain('image: a bee')
  })
})

/** Where browsers of the Chromium family are installed, by system. Nothing is started here. */

import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

/** Names one executable and wins over every other place. */
export const CHROMIUM_VARIABLE = 'TABSWARM_CHROMIUM'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

const MAC_APPLICATIONS = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
]

const WINDOWS_PLACES = [
  'Google\\Chrome\\Application\\chrome.exe',
  'Chromium\\Application\\chrome.exe',
  'Microsoft\\Edge\\Application\\msedge.exe',
]

/** Folders of Linux distributions: the executable on the PATH is a script there, the driver lies beside the real one. */
const LINUX_FOLDERS = [
  '/usr/lib/chromium',
  '/usr/lib64/chromium',
  '/usr/lib/chromium-browser',
  '/usr/lib64/chromium-browser',
  '/opt/google/chrome',
]

/** Installed executables, best first, without the one that CHROMIUM_VARIABLE names. */
export function installedChromiums(): readonly string[] {
  return candidates().filter(existsSync)
}

/** Folders of installed browsers on Linux: SwiftShader lies in them. */
export function chromiumFolders(): readonly string[] {
  const named = process.env[CHROMIUM_VARIABLE]
  const executables = [...(named !== undefined && existsSync(named) ? [named] : []), ...installedChromiums()]
  return [...new Set([...executables.map((path) => dirname(realpathSync(path))), ...LINUX_FOLDERS])]
}

function candidates(): readonly string[] {
  switch (process.platform) {
    case 'darwin':
      return [...MAC_APPLICATIONS, ...MAC_APPLICATIONS.map((path) => join(homedir(), path))]
    case 'win32':
      return [process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA]
        .filter((root) => root !== undefined)
        .flatMap((root) => WINDOWS_PLACES.map((place) => join(root, place)))
    default: {
      const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
      const onPath = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))
      return [...onPath, ...playwrightChromiums()]
    }
  }
}

/** What `playwright install` keeps, newest first. */
function playwrightChromiums(): readonly string[] {
  const root = process.env.PLAYWRIGHT_BROWSERS_PATH ?? join(homedir(), '.cache', 'ms-playwright')
  if (!existsSync(root)) return []
  return readdirSync(root)
    .filter((name) => /^chromium-\d+$/.test(name))
    .sort((a, b) => Number(b.slice('chromium-'.length)) - Number(a.slice('chromium-'.length)))
    .flatMap((name) => ['chrome-linux64', 'chrome-linux'].map((folder) => join(root, name, folder, 'chrome')))
}

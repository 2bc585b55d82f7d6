/**
 * A certificate for `serve --https`: made once, kept beside the models' cache, made anew before it expires or when the
 * machine's addresses change. Browsers ask once whether to trust it; WebGPU then works on other machines of the network.
 */

import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { homedir, networkInterfaces } from 'node:os'
import path from 'node:path'
import { createSecureContext } from 'node:tls'
import { TabswarmError } from '../shared/index.ts'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

const VALID_DAYS = 365
const RENEW_BEFORE_MS = 7 * 86_400_000

/** Addresses of this machine that others on its network can reach, IPv4 first. */
export function lanAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const outward = all.filter((address) => !address.internal && !address.address.startsWith('fe80:'))
  return outward.sort((a, b) => a.family.localeCompare(b.family)).map((address) => address.address)
}

/** Reads `certFile` and `keyFile` (PEM). */
export async function readCertificate(certFile: string, keyFile: string): Promise<Certificate> {
  try {
    const certificate = { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
    createSecureContext(certificate)
    return certificate
  } catch (error) {
    throw new TabswarmError(
      'bad-certificate',
      `${certFile} and ${keyFile} are no certificate and its key: ${String(error)}; give PEM files that belong together with --cert and --key`,
    )
  }
}

/** The kept certificate for this machine's names and addresses, or a new one. */
export async function ownCertificate(folder = path.join(homedir(), '.config', 'tabswarm')): Promise<Certificate> {
  const files = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem') }
  const names = ['localhost', '127.0.0.1', '::1', ...lanAddresses()]
  const kept = await readCertificate(files.cert, files.key).catch(() => null)
  if (kept !== null && isUsable(kept.cert, names)) return kept
  const made = await makeCertificate(names)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFile(files.cert, made.cert)
    await writeFile(files.key, made.key, { mode: 0o600 })
  } catch {
    // A read-only home: the certificate lasts as long as this process, and browsers will ask again.
  }
  return made
}

function isUsable(pem: string, names: readonly string[]): boolean {
  try {
    const certificate = new X509Certificate(pem)
    const fresh = Date.parse(certificate.validTo) - Date.now() > RENEW_BEFORE_MS
    return fresh && names.every((name) => (isIp(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined)
  } catch {
    return false
  }
}

async function makeCertificate(names: readonly string[]): Promise<Certificate> {
  const { generate } = await import('selfsigned')
  const made = await generate([{ name: 'commonName', value: 'Tabswarm' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + VALID_DAYS * 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'subjectAltName', altNames: names.map((name) => (isIp(name) ? { type: 7, ip: name } : { type: 2, value: name })) },
    ],
  })
  return { cert: made.cert, key: made.private }
}

function isIp(name: string): boolean {
  return /^[\d.]+$/.test(name) || name.includes(':')
}

/** Formats of strings, each a grammar of some that have it: days up to the 28th, which every month has; addresses of letters and digits. */

const DATE = '[12] [0-9]{3} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])'
const TIME = '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("Z" | [-+] ("0" [0-9] | "1" [0-2]) ":" [0-5] [0-9])'
const LABEL = '[a-z0-9]{1,20} ("-" [a-z0-9]{1,20}){0,3}'
const HOST = `(${LABEL} "."){1,4} [a-z]{2,12}`
const BYTE = '("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9]? [0-9])'

export const STRING_FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  'date-time': `${DATE} "T" ${TIME}`,
  email: `[a-zA-Z0-9]{1,30} ([._+-] [a-zA-Z0-9]{1,20}){0,3} "@" ${HOST}`,
  hostname: HOST,
  ipv4: `${BYTE} "." ${BYTE} "." ${BYTE} "." ${BYTE}`,
  uuid: '[0-9a-f]{8} "-" [0-9a-f]{4} "-" [1-5] [0-9a-f]{3} "-" [89ab] [0-9a-f]{3} "-" [0-9a-f]{12}',
}

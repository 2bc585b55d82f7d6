/** Why a peer's socket is closed by the economy, in words for whoever sits before it. Rules E9 and E12. */

export const BANNED = {
  reason: 'banned',
  message: 'audits have found twice that this account did not compute what it was paid for: it takes no further part here',
}

export const NO_VOLUNTEER = {
  reason: 'no-volunteer',
  message: 'this account may not compute for others here; whoever runs this coordinator can give it the role of a volunteer',
}

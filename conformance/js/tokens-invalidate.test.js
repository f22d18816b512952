// Every way to invalidate tokens. Each access token has authenticated before, and
// its very next request is refused.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { admin, closeAll, major, off, pair, person, refused, token, unique, unknown } from './support.js'

after(closeAll)

const refresh = made => admin.security.getToken({ grant_type: 'refresh_token', refresh_token: made.refresh_token })

// invalidate asserts how many tokens were invalidated now and before.
async function invalidate (by, selector, now, before) {
  // Without errors there are no details of them either.
  assert.deepEqual(await by.security.invalidateToken(selector), { invalidated_tokens: now, previously_invalidated_tokens: before, error_count: 0 })
}

// neither asserts that both tokens of a pair are off.
async function neither (made) {
  await off(made.client)
  const err = await refresh(made).catch(err => err)
  assert.deepEqual([err.statusCode, err.body?.error], [400, 'invalid_grant'])
}

describe('invalidate tokens', () => {
  it('TK-39 TK-41 TK-52 TK-53 by token, and the same again; the refresh token stays', async () => {
    const made = await pair(admin, await person())
    await invalidate(admin, { token: made.access_token }, 1, 0)
    await off(made.client)
    await invalidate(admin, { token: made.access_token }, 0, 1)
    await refresh(made)
  })

  it('TK-42 TK-52 by refresh token, and the same again; the access token stays', async () => {
    const made = await pair(admin, await person())
    await invalidate(admin, { refresh_token: made.refresh_token }, 1, 0)
    await invalidate(admin, { refresh_token: made.refresh_token }, 0, 1)
    assert.equal((await refresh(made).catch(err => err)).body.error, 'invalid_grant')
    await made.client.security.authenticate()
  })

  it('TK-40 one half after the other', async () => {
    const made = await pair(admin, await person())
    await invalidate(admin, { token: made.access_token }, 1, 0)
    await invalidate(admin, { refresh_token: made.refresh_token }, 1, 0)
    await neither(made)
  })

  it('TK-45 by username: both halves of each pair of that user and of nobody else', async () => {
    const [u, v] = [await person('manage_token'), await person()]
    const [a, b, alone, other] = [await pair(admin, u), await pair(admin, u), await token(u.client), await pair(admin, v)]
    await invalidate(admin, { username: u.name }, 5, 0)
    await neither(a)
    await neither(b)
    await off(alone.client)
    await other.client.security.authenticate()
    await invalidate(admin, { username: u.name }, 0, 0)
  })

  it('TK-45 TK-46 by realm: all of that realm and of no other', async () => {
    await admin.security.invalidateToken({ realm_name: 'default_native' })
    const [u, v] = [await person(), await person()]
    const [a, b, other] = [await pair(admin, u), await pair(admin, v), await token(admin)]
    await invalidate(admin, { realm_name: 'default_native' }, 4, 0)
    await neither(a)
    await neither(b)
    await other.client.security.authenticate()
    await invalidate(admin, { realm_name: unique('no') }, 0, 0)
  })

  it('TK-47 by username and realm: both must fit', async () => {
    const u = await person()
    const made = await pair(admin, u)
    await invalidate(admin, { username: u.name, realm_name: 'reserved' }, 0, 0)
    await made.client.security.authenticate()
    await invalidate(admin, { username: u.name, realm_name: 'default_native' }, 2, 0)
    await neither(made)
  })

  it('a half that was off already is counted apart', async () => {
    const u = await person()
    const made = await pair(admin, u)
    await invalidate(admin, { token: made.access_token }, 1, 0)
    await invalidate(admin, { username: u.name }, 1, 1)
    await neither(made)
  })

  it('a token may invalidate itself', async () => {
    const made = await token((await person('manage_token')).client)
    await invalidate(made.client, { token: made.access_token }, 1, 0)
    await off(made.client)
  })

  it('TK-43 an unknown token, or one of the other kind, is a 404 with counters', async () => {
    const made = await pair(admin, await person())
    for (const selector of [
      { token: unique('not base64!') },
      { refresh_token: Buffer.from(unique('base64')).toString('base64') },
      { token: made.refresh_token },
      { refresh_token: made.access_token }
    ]) await unknown(admin, selector)
    await made.client.security.authenticate()
  })

  it('TK-48 TK-49 TK-50 a request without a clear selector changes nothing', async () => {
    const u = await person()
    const made = await pair(admin, u)
    for (const selector of [{ token: '' }, { username: ' ' }, { token: made.access_token, username: u.name }, { refresh_token: made.refresh_token, realm_name: 'default_native' }]) {
      await refused(admin.security.invalidateToken(selector), 400, 'action_request_validation_exception')
    }
    const err = await refused(admin.security.invalidateToken({ token: made.access_token, refresh_token: made.refresh_token }), 400, 'x_content_parse_exception')
    assert.equal(err.body.error.caused_by.type, 'illegal_argument_exception')
    await made.client.security.authenticate()
  })

  it('TK-50 without a selector release 7.17 sends an empty object, and its successors no body', async () => {
    await refused(admin.security.invalidateToken({}), 400, major === 7 ? 'action_request_validation_exception' : 'parse_exception')
  })

  it('who may not invalidate is told so', async () => {
    const u = await person('monitor')
    const made = await pair(admin, u)
    const err = await refused(u.client.security.invalidateToken({ token: made.access_token }), 403, 'security_exception')
    assert.match(err.body.error.reason, new RegExp(`^action \\[cluster:admin/xpack/security/token/invalidate\\] is unauthorized for user \\[${u.name}\\]`))
    await made.client.security.authenticate()
  })
})

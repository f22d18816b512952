// Tokens as an application gets, uses and renews them.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { admin, closeAll, connect, errors, key, off, pair, person, refused, token, unique } from './support.js'

after(closeAll)

const credentials = { grant_type: 'client_credentials' }
const refresh = made => ({ grant_type: 'refresh_token', refresh_token: made.refresh_token })
const halves = made => [made.access_token, made.refresh_token]

// identity is a user as a token and its answer tell it.
const identity = (u, type) => ({
  username: u.name,
  roles: [u.role],
  full_name: null,
  email: null,
  metadata: {},
  enabled: true,
  authentication_realm: { name: 'default_native', type: 'native' },
  lookup_realm: { name: 'default_native', type: 'native' },
  authentication_type: type
})

// denied asserts that a call ends in the client's error with a body of two
// members, which is told whole since it has no type, and returns the description.
async function denied (call, error) {
  const err = await call.then(
    answer => assert.fail(`not refused: ${JSON.stringify(answer)}`),
    err => err
  )
  assert.ok(err instanceof errors.ResponseError, `not an error of the client: ${err.stack}`)
  assert.deepEqual([err.statusCode, Object.keys(err.body), err.body.error], [400, ['error', 'error_description'], error])
  assert.equal(err.message, JSON.stringify(err.body))
  return err.body.error_description
}

describe('get token', () => {
  it('TK-1 TK-2 TK-4 TK-7 TK-27 for the caller: an access token alone', async () => {
    const u = await person('manage_token')
    const made = await u.client.security.getToken(credentials)
    assert.deepEqual(Object.keys(made), ['access_token', 'type', 'expires_in', 'authentication'])
    assert.deepEqual([made.type, made.expires_in, made.authentication], ['Bearer', 1200, identity(u, 'realm')])
    assert.equal((await connect({ bearer: made.access_token }).security.authenticate()).username, u.name)
  })

  it('TK-3 TK-4 TK-7 TK-24 TK-25 TK-27 for a password: a pair for its user, who needs no privilege', async () => {
    const u = await person()
    const made = await admin.security.getToken({ grant_type: 'password', username: u.name, password: u.password })
    assert.deepEqual(Object.keys(made), ['access_token', 'type', 'expires_in', 'refresh_token', 'authentication'])
    assert.deepEqual([made.type, made.expires_in, made.authentication], ['Bearer', 1200, identity(u, 'realm')])
  })

  it('TK-8 a scope is accepted, and is full whatever it was', async () => {
    assert.equal((await admin.security.getToken({ ...credentials, scope: 'x' })).scope, 'full')
  })

  it('TK-23 who manages security gets tokens and invalidates them', async () => {
    const u = await person('manage_security')
    const made = await pair(u.client, await person())
    assert.equal((await u.client.security.invalidateToken({ token: made.access_token })).invalidated_tokens, 1)
    await off(made.client)
  })

  it('TK-9 TK-10 TK-11 TK-13 TK-14 members that do not fit the grant are refused in the words of OAuth2', async () => {
    const u = await person()
    const password = { grant_type: 'password', username: u.name, password: u.password }
    const wrong = [
      ['unsupported_grant_type', { username: u.name }],
      ['unsupported_grant_type', { grant_type: 'authorization_code' }],
      ['unsupported_grant_type', { ...password, refresh_token: 'x' }],
      ['unsupported_grant_type', { ...credentials, username: u.name }],
      ['invalid_request', { grant_type: 'password', password: u.password }]
    ]
    for (const [error, request] of wrong) {
      assert.match(await denied(admin.security.getToken(request), error), /^Validation Failed: 1: .*;$/)
    }
  })

  it('TK-18 a wrong password in the body is the 401 of a wrong password', async () => {
    const u = await person()
    const err = await refused(admin.security.getToken({ grant_type: 'password', username: u.name, password: 'not the password' }), 401, 'security_exception')
    assert.deepEqual(err.body.error.header['WWW-Authenticate'], ['Basic realm="security", charset="UTF-8"', 'Bearer realm="security"', 'ApiKey'])
  })

  it('TK-21 TK-22 who may not is told so, but first what is wrong with the request', async () => {
    const u = await person('monitor')
    const err = await refused(u.client.security.getToken(credentials), 403, 'security_exception')
    assert.match(err.body.error.reason, new RegExp(`^action \\[cluster:admin/xpack/security/token/create\\] is unauthorized for user \\[${u.name}\\]`))
    await denied(u.client.security.getToken({ ...credentials, username: u.name }), 'unsupported_grant_type')
  })
})

describe('use', () => {
  it('TK-26 a token acts as its user', async () => {
    const u = await person('monitor')
    const made = await pair(admin, u)
    assert.deepEqual(await made.client.security.authenticate(), identity(u, 'token'))
    await made.client.info()
    await refused(made.client.security.getUser({ username: u.name }), 403, 'security_exception')
  })

  it('TK-55 TK-56 what is no access token is refused like any wrong credential', async () => {
    const { refresh_token: other } = await pair(admin, await person())
    for (const bearer of [unique('no-token'), other]) {
      const err = await refused(connect({ bearer }).security.authenticate(), 401, 'security_exception')
      assert.equal(err.body.error.additional_unsuccessful_credentials, 'oauth2 token: invalid token')
      assert.deepEqual(err.body.error.header['WWW-Authenticate'], ['Basic realm="security", charset="UTF-8"', 'Bearer realm="security"', 'ApiKey'])
    }
  })

  it('TK-62 a token that an API key got has its rights and dies with it', async () => {
    const u = await person('manage_token', 'manage_own_api_key')
    const k = await key(u.client, { role_descriptors: { tokens: { cluster: ['manage_token'] } } })
    const made = await token(k.client)
    const me = await made.client.security.authenticate()
    assert.deepEqual([me.username, me.authentication_type, me.api_key.id], [u.name, 'token', k.id])
    await refused(made.client.security.getApiKey({ owner: true }), 403, 'security_exception')
    await admin.security.invalidateApiKey({ ids: [k.id] })
    await off(made.client)
    assert.deepEqual(await admin.security.invalidateToken({ token: made.access_token }), { invalidated_tokens: 0, previously_invalidated_tokens: 1, error_count: 0 })
  })
})

describe('refresh', () => {
  it('TK-25 TK-28 TK-29 gives another pair, and the old access token stays', async () => {
    const u = await person()
    const first = await pair(admin, u)
    const second = await token(admin, refresh(first))
    assert.deepEqual(Object.keys(second).slice(0, 5), ['access_token', 'type', 'expires_in', 'refresh_token', 'authentication'])
    assert.deepEqual([second.type, second.expires_in, second.authentication], ['Bearer', 1200, identity(u, 'token')])
    assert.equal(new Set([...halves(first), ...halves(second)]).size, 4)
    await first.client.security.authenticate()
  })

  it('TK-30 the same once more gives the same pair', async () => {
    const first = await pair(admin, await person())
    const second = await admin.security.getToken(refresh(first))
    assert.deepEqual(halves(await admin.security.getToken(refresh(first))), halves(second))
    assert.notDeepEqual(halves(await admin.security.getToken(refresh(second))), halves(second))
  })

  it('TK-31 many at once get one pair, which works for each', async () => {
    const first = await pair(admin, await person())
    const got = await Promise.all(Array.from({ length: 16 }, () => token(admin, refresh(first))))
    assert.equal(new Set(got.map(made => halves(made).join())).size, 1)
  })

  it('TK-34 by the same user with a token in place of the password', async () => {
    const u = await person('manage_token')
    const first = await pair(u.client, u)
    await token(first.client, refresh(first))
  })

  it('TK-33 TK-37 TK-38 a refresh token that is not good is an invalid grant, and the caller stays logged in', async () => {
    const other = await person('manage_token')
    const first = await pair(admin, await person())
    assert.match(await denied(other.client.security.getToken(refresh(first)), 'invalid_grant'), /tokens must be refreshed by the creating client/)
    await admin.security.invalidateToken({ refresh_token: first.refresh_token })
    assert.match(await denied(admin.security.getToken(refresh(first)), 'invalid_grant'), /token has been invalidated/)
    for (const garbage of [unique('not base64!'), Buffer.from(unique('base64')).toString('base64'), first.access_token]) {
      await denied(admin.security.getToken({ grant_type: 'refresh_token', refresh_token: garbage }), 'invalid_grant')
    }
  })
})

// What the scenarios share: the client under test, callers, and the assertion
// that a call is refused.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { successor } from './release7.js'

function env (name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set; the scenarios are started by go test`)
  return value
}

export const node = env('LATCHKEY_URL')

// The major version of the client, which it also asks the server to speak.
export const major = Number(env('LATCHKEY_CLIENT_MAJOR'))

const { Client, errors } = createRequire(import.meta.url)(env('LATCHKEY_CLIENT'))
export { errors }

const open = []

// connect returns a client with the given credentials. No call is repeated, so
// that a scenario sees each answer.
export function connect (auth, options = {}) {
  options = { node, auth, maxRetries: 0, ...options }
  const client = major === 7 ? successor(Client, options) : new Client(options)
  open.push(client)
  return client
}

// closeAll closes what connect opened; a scenario file calls it in the end.
export async function closeAll () {
  await Promise.all(open.splice(0).map(client => client.close()))
}

export const admin = connect({ username: 'elastic', password: env('LATCHKEY_PASSWORD') })

// unique returns a name that no other scenario uses.
export function unique (prefix) {
  return `${prefix}-${randomBytes(5).toString('hex')}`
}

// person makes a role with the given cluster privileges and a user who holds
// it, and returns both names and a client of that user.
export async function person (...cluster) {
  const name = unique('user')
  const role = unique('role')
  const password = unique('password')
  await admin.security.putRole({ name: role, cluster })
  await admin.security.putUser({ username: name, password, roles: [role] })
  return { name, role, password, client: connect({ username: name, password }) }
}

// key makes an API key and a client that uses it. The key has authenticated
// once when it is returned, so that the server has it at hand.
export async function key (owner, params = {}) {
  const made = await owner.security.createApiKey({ name: unique('key'), ...params })
  const client = connect({ apiKey: made.encoded })
  await client.security.authenticate()
  return { ...made, client }
}

// token gets an access token and makes a client that uses it. The token has
// authenticated once when it is returned, so that the server has it at hand.
export async function token (by, request = { grant_type: 'client_credentials' }) {
  const made = await by.security.getToken(request)
  const client = connect({ bearer: made.access_token })
  await client.security.authenticate()
  return { ...made, client }
}

// pair gets an access and a refresh token for a user.
export function pair (by, u) {
  return token(by, { grant_type: 'password', username: u.name, password: u.password })
}

// refused asserts that a call ends in the client's typed error, and returns it.
export async function refused (call, status, type) {
  const err = await call.then(
    answer => assert.fail(`not refused: ${JSON.stringify(answer)}`),
    err => err
  )
  assert.ok(err instanceof errors.ResponseError, `not an error of the client: ${err.stack}`)
  const got = { status: err.statusCode, body: err.body.status, type: err.body.error?.type }
  assert.deepEqual(got, { status, body: status, type })
  return err
}

// dead asserts that a key is refused, as every key is that does not authenticate.
export async function dead (client) {
  const err = await refused(client.security.authenticate(), 401, 'security_exception')
  assert.match(err.body.error.reason, /unable to authenticate with provided credentials/)
}

// off asserts that an access token is refused, as one is that was invalidated or
// has expired.
export async function off (client) {
  const challenge = 'Bearer realm="security", error="invalid_token", error_description="The access token expired"'
  const err = await refused(client.security.authenticate(), 401, 'security_exception')
  assert.equal(err.headers['www-authenticate'], challenge)
  assert.equal(err.body.error.header['WWW-Authenticate'], challenge)
}

// unknown asserts that a call is answered 404 with counters, of which the client
// makes an error unless it is told not to, and returns nothing else.
export async function unknown (by, selector) {
  const counters = { invalidated_tokens: 0, previously_invalidated_tokens: 0, error_count: 0 }
  const err = await by.security.invalidateToken(selector).then(answer => assert.fail(JSON.stringify(answer)), err => err)
  assert.ok(err instanceof errors.ResponseError, `not an error of the client: ${err.stack}`)
  assert.deepEqual([err.statusCode, err.body], [404, counters])
  assert.deepEqual(await by.security.invalidateToken(selector, { ignore: [404] }), counters)
}

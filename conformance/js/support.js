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

// A client that trusts one certificate authority by its fingerprint.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { closeAll, connect, errors } from './support.js'

const caFingerprint = process.env.LATCHKEY_CA_FINGERPRINT
const auth = { username: 'elastic', password: process.env.LATCHKEY_PASSWORD }

after(closeAll)

describe('fingerprint', () => {
  it('HT-57 a client that pins the authority completes the main job', async () => {
    const pinned = connect(auth, { caFingerprint, tls: { rejectUnauthorized: false } })
    const made = await pinned.security.createApiKey({ name: 'pinned' })
    const holder = connect({ apiKey: made.encoded }, { caFingerprint, tls: { rejectUnauthorized: false } })
    assert.equal((await holder.security.authenticate()).api_key.id, made.id)
    await pinned.security.invalidateApiKey({ ids: [made.id] })
    const err = await holder.security.authenticate().catch(err => err)
    assert.equal(err.statusCode, 401)
  })

  it('HT-57 a client that pins another authority does not talk to the server', async () => {
    const wrong = caFingerprint.replace(/^../, hex => hex === '00' ? '01' : '00')
    const client = connect(auth, { caFingerprint: wrong, tls: { rejectUnauthorized: false } })
    const err = await client.info().catch(err => err)
    assert.ok(err instanceof errors.ConnectionError, String(err))
    assert.match(err.message, /fingerprint/)
  })
})

// A server that has not issued a token yet; each client has one to itself.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { admin, closeAll, refused, unknown } from './support.js'

after(closeAll)

describe('a fresh server', () => {
  it('TK-1 TK-4 TK-7 TK-43 TK-44 well-formed tokens are a 400 until the first is issued, and then a 404', async () => {
    const garbage = 'this is not base64 at all'
    const base64 = Buffer.from('no token, though it decodes').toString('base64')
    // The form that tokens of Elasticsearch have.
    const elasticsearch = Buffer.concat([Buffer.from('e3a4e80318', 'hex'), randomBytes(24)]).toString('base64')
    const kinds = text => [{ token: text }, { refresh_token: text }]

    for (const selector of [...kinds(base64), ...kinds(elasticsearch)]) {
      await refused(admin.security.invalidateToken(selector), 400, 'security_exception')
    }
    for (const selector of kinds(garbage)) await unknown(admin, selector)

    const made = await admin.security.getToken({ grant_type: 'client_credentials' })
    assert.ok(made.access_token)
    assert.deepEqual([made.type, made.expires_in, 'scope' in made], ['Bearer', 1200, false])

    for (const selector of [...kinds(garbage), ...kinds(base64), ...kinds(elasticsearch)]) await unknown(admin, selector)
  })
})

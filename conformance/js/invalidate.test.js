// Every way to invalidate. Each key has authenticated before, and its very next
// request is refused.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { admin, closeAll, connect, dead, key, person, refused, unique } from './support.js'

after(closeAll)

const sorted = (...keys) => keys.map(k => k.id).sort()

// invalidate returns the ids that were invalidated now and before, both sorted.
async function invalidate (by, selector) {
  const answer = await by.security.invalidateApiKey(selector)
  assert.equal(answer.error_count, 0)
  assert.ok(!('error_details' in answer))
  return { now: answer.invalidated_api_keys.sort(), before: answer.previously_invalidated_api_keys.sort() }
}

describe('invalidate', () => {
  it('AK-87 AK-88 AK-104 AK-133 by ids, and the same again', async () => {
    const keys = [await key(admin), await key(admin), await key(admin)]
    const ids = keys.map(k => k.id)
    assert.deepEqual(await invalidate(admin, { ids }), { now: sorted(...keys), before: [] })
    for (const k of keys) {
      await dead(k.client)
      await dead(connect({ apiKey: k.encoded }))
    }
    const times = new Set()
    for (const id of ids) times.add((await admin.security.getApiKey({ id })).api_keys[0].invalidation)
    assert.equal(times.size, 1)
    assert.deepEqual(await invalidate(admin, { ids }), { now: [], before: sorted(...keys) })
  })

  it('AK-89 AK-103 AK-105 unknown ids are passed over, repeated ones count once, and one may stand alone', async () => {
    const [a, b] = [await key(admin), await key(admin)]
    assert.deepEqual(await invalidate(admin, { ids: [unique('no')] }), { now: [], before: [] })
    assert.deepEqual(await invalidate(admin, { ids: [a.id, unique('no'), a.id] }), { now: [a.id], before: [] })
    assert.deepEqual(await invalidate(admin, { id: b.id }), { now: [b.id], before: [] })
    await dead(a.client)
    await dead(b.client)
  })

  it('AK-91 by name, whole and by prefix', async () => {
    const prefix = unique('app')
    const [a, b, other] = [await key(admin, { name: `${prefix}-1` }), await key(admin, { name: `${prefix}-2` }), await key(admin, { name: `other-${prefix}` })]
    assert.deepEqual(await invalidate(admin, { name: `${prefix}-1` }), { now: [a.id], before: [] })
    assert.deepEqual(await invalidate(admin, { name: `${prefix}*` }), { now: [b.id], before: [] })
    await dead(a.client)
    await dead(b.client)
    await other.client.security.authenticate()
  })

  it('AK-88 AK-90 by username: all of that user and of nobody else', async () => {
    const [u, v] = [await person('manage_own_api_key'), await person('manage_own_api_key')]
    const [a, b, other] = [await key(u.client), await key(u.client), await key(v.client)]
    assert.deepEqual(await invalidate(admin, { username: u.name }), { now: sorted(a, b), before: [] })
    await dead(a.client)
    await dead(b.client)
    await other.client.security.authenticate()
    assert.deepEqual(await invalidate(admin, { username: u.name }), { now: [], before: [] })
  })

  it('AK-90 by realm: all of that realm and of no other', async () => {
    const u = await person('manage_own_api_key')
    const [mine, other] = [await key(admin), await key(u.client)]
    const { now } = await invalidate(admin, { realm_name: 'reserved' })
    assert.ok(now.includes(mine.id) && !now.includes(other.id), now.join())
    await dead(mine.client)
    await other.client.security.authenticate()
  })

  it('by username and realm: both must fit', async () => {
    const u = await person('manage_own_api_key')
    const k = await key(u.client)
    assert.deepEqual(await invalidate(admin, { username: u.name, realm_name: 'reserved' }), { now: [], before: [] })
    await k.client.security.authenticate()
    assert.deepEqual(await invalidate(admin, { username: u.name, realm_name: 'default_native' }), { now: [k.id], before: [] })
    await dead(k.client)
  })

  it('AK-93 AK-106 by owner: all of the caller', async () => {
    const [u, v] = [await person('manage_own_api_key'), await person('manage_own_api_key')]
    const [a, b, other] = [await key(u.client), await key(u.client), await key(v.client)]
    assert.deepEqual(await invalidate(u.client, { owner: true }), { now: sorted(a, b), before: [] })
    await dead(a.client)
    await dead(b.client)
    await other.client.security.authenticate()
    assert.deepEqual(await invalidate(v.client, { owner: 'true' }), { now: [other.id], before: [] })
  })

  it('AK-92 AK-94 by owner and ids: those of the caller', async () => {
    const [u, v] = [await person('manage_own_api_key'), await person('manage_own_api_key')]
    const [a, b, other] = [await key(u.client), await key(u.client), await key(v.client)]
    await refused(u.client.security.invalidateApiKey({ ids: [a.id] }), 403, 'security_exception')
    assert.deepEqual(await invalidate(u.client, { owner: true, ids: [a.id] }), { now: [a.id], before: [] })
    assert.deepEqual(await invalidate(u.client, { owner: true, ids: [other.id] }), { now: [], before: [] })
    await dead(a.client)
    await b.client.security.authenticate()
    await other.client.security.authenticate()
  })

  it('by owner and name: those of the caller', async () => {
    const [u, v] = [await person('manage_own_api_key'), await person('manage_own_api_key')]
    const name = unique('shared')
    const [a, b, other] = [await key(u.client, { name }), await key(u.client), await key(v.client, { name })]
    assert.deepEqual(await invalidate(u.client, { owner: true, name }), { now: [a.id], before: [] })
    await dead(a.client)
    await b.client.security.authenticate()
    await other.client.security.authenticate()
  })

  it('AK-95 who manages its own keys may name itself and nobody else', async () => {
    const [u, v] = [await person('manage_own_api_key'), await person('manage_own_api_key')]
    const k = await key(u.client)
    for (const selector of [{ username: v.name }, { realm_name: 'default_native' }, { username: v.name, realm_name: 'default_native' }]) {
      const err = await refused(u.client.security.invalidateApiKey(selector), 403, 'security_exception')
      assert.equal(err.body.error.reason, `action [cluster:admin/xpack/security/api_key/invalidate] is unauthorized for user [${u.name}]` +
        ` with effective roles [${u.role}], this action is granted by the cluster privileges [manage_api_key,manage_security,all]`)
    }
    await k.client.security.authenticate()
    assert.deepEqual(await invalidate(u.client, { username: u.name, realm_name: 'default_native' }), { now: [k.id], before: [] })
    await dead(k.client)
  })

  it('AK-96 AK-97 HT-39 a key may invalidate itself and nothing else', async () => {
    const u = await person('manage_own_api_key')
    const [k, other] = [await key(u.client), await key(u.client)]
    const err = await refused(k.client.security.invalidateApiKey({ ids: [k.id, other.id] }), 403, 'security_exception')
    assert.match(err.body.error.reason, new RegExp(`is unauthorized for API key id \\[${k.id}\\] of user \\[${u.name}\\], this action is granted by`))
    await refused(k.client.security.invalidateApiKey({ owner: true }), 403, 'security_exception')
    assert.deepEqual(await invalidate(k.client, { ids: [k.id] }), { now: [k.id], before: [] })
    await dead(k.client)
    await other.client.security.authenticate()
  })

  it('AK-98 AK-99 a request without a clear selector changes nothing', async () => {
    const k = await key(admin)
    const validation = [{ owner: false }, { ids: [k.id], name: k.name }, { ids: [k.id], username: 'elastic' }, { name: k.name, realm_name: 'reserved' }, { owner: true, username: 'elastic' }]
    for (const selector of validation) {
      await refused(admin.security.invalidateApiKey(selector), 400, 'action_request_validation_exception')
    }
    for (const ids of [[], [' ']]) {
      const err = await refused(admin.security.invalidateApiKey({ ids }), 400, 'x_content_parse_exception')
      assert.equal(err.body.error.caused_by.type, 'action_request_validation_exception')
    }
    await k.client.security.authenticate()
  })

  it('AK-100 an expired key can be invalidated', async () => {
    const made = await admin.security.createApiKey({ name: unique('key'), expiration: '0' })
    assert.deepEqual(await invalidate(admin, { ids: [made.id] }), { now: [made.id], before: [] })
  })
})

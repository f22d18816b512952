// What latchkey adds to the calls of Elasticsearch, through the client's own
// requests; and that answers with it are read by the calls that do not know it.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { admin, closeAll, connect, dead, key, person, refused, unique } from './support.js'

after(closeAll)

const request = (by, method, path, rest = {}, options = {}) => by.transport.request({ method, path, ...rest }, options)

// leaked sends a text as it is.
const leaked = (by, text, querystring) =>
  request(by, 'POST', '/_latchkey/api_key/_invalidate_leaked', { body: text, querystring }, { headers: { 'content-type': 'text/plain' } })

describe('additions', () => {
  it('with_last_used tells when and from where a key was used', async () => {
    const k = await key(admin)
    const before = Date.now() - 120_000
    const { api_keys: [got] } = await request(admin, 'GET', '/_security/api_key', { querystring: { id: k.id, with_last_used: true } })
    assert.ok(got.last_used > before, JSON.stringify(got))
    assert.deepEqual([got.last_used_address, got.last_used_user_agent.split('/')[0]], ['127.0.0.1', 'elasticsearch-js'])
    const { api_keys: [found] } = await request(admin, 'POST', '/_security/_query/api_key', {
      querystring: { with_last_used: true }, body: { query: { ids: { values: [k.id] } } }
    })
    assert.deepEqual(found, got)
    const { api_keys: [plain] } = await admin.security.getApiKey({ id: k.id })
    assert.ok(!('last_used' in plain))
  })

  it('dry_run tells what an invalidation would end, and ends nothing', async () => {
    const u = await person('manage_own_api_key')
    const [a, b] = [await key(u.client), await key(u.client)]
    const preview = (by, body) => request(by, 'DELETE', '/_security/api_key', { querystring: { dry_run: true }, body })
    const told = await preview(admin, { username: u.name })
    assert.deepEqual([told.invalidated_api_keys.sort(), told.previously_invalidated_api_keys, told.error_count], [[a.id, b.id].sort(), [], 0])
    await refused(preview(u.client, { ids: [a.id] }), 403, 'security_exception')
    await a.client.security.authenticate()
    const done = await admin.security.invalidateApiKey({ username: u.name })
    assert.deepEqual(done.invalidated_api_keys.sort(), told.invalidated_api_keys)
    await dead(a.client)
    await dead(b.client)
  })

  it('a rotation gives a key another secret, and both are good for the overlap', async () => {
    const u = await person('manage_own_api_key')
    const old = await key(u.client)
    const made = await request(u.client, 'POST', `/_latchkey/api_key/${old.id}/_rotate`, { body: { overlap: '1h' } })
    assert.deepEqual(Object.keys(made).sort(), ['api_key', 'encoded', 'id', 'name', 'overlap_until'])
    assert.deepEqual([made.id, made.name], [old.id, old.name])
    const next = connect({ apiKey: made.encoded })
    for (const client of [old.client, next]) assert.equal((await client.security.authenticate()).api_key.id, old.id)
    assert.deepEqual(await request(u.client, 'POST', `/_latchkey/api_key/${old.id}/_end_overlap`), { ended: true })
    await dead(old.client)
    await next.security.authenticate()
    assert.deepEqual((await admin.security.queryApiKeys({ query: { ids: { values: [old.id] } } })).api_keys.map(k => k.invalidated), [false])
    await refused(request(admin, 'POST', `/_latchkey/api_key/${old.id}/_rotate`), 404, 'resource_not_found_exception')
  })

  it('leaked credentials are found in a text, and end', async () => {
    const u = await person('manage_own_api_key')
    const k = await key(u.client)
    const text = `${unique('line')}\ncurl -H 'Authorization: ApiKey ${k.encoded}' http://example.org\n`
    const found = [{ type: 'api_key', id: k.id, name: k.name, username: u.name, realm: 'default_native' }]
    const told = await leaked(admin, text, { dry_run: true })
    assert.deepEqual([told.found, told.invalidated, told.dry_run, told.bytes], [1, found, true, text.length])
    await k.client.security.authenticate()
    assert.deepEqual((await leaked(admin, text)).invalidated, found)
    await dead(k.client)
    const again = await leaked(admin, text)
    assert.deepEqual([again.invalidated, again.previously_invalidated], [[], found])
    await refused(leaked((await person('monitor')).client, text), 403, 'security_exception')
  })
})

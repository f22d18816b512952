// Users, roles and API keys as an application manages them.
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import { after, describe, it } from 'node:test'
import { admin, closeAll, connect, dead, key, major, person, refused, unique } from './support.js'

const day = 86_400_000
// Before release 8 the media type that names the release is sent only on demand.
const versioned = process.env.ELASTIC_CLIENT_APIVERSIONING === 'true'
const vendored = `application/vnd.elasticsearch+json;compatible-with=${major}`

after(closeAll)

describe('first contact', () => {
  it('HT-4 HT-8 info tells the whole identity of the server', async () => {
    const { body, headers } = await admin.info({}, { meta: true })
    assert.equal(headers['x-elastic-product'], 'Elasticsearch')
    assert.match(body.cluster_uuid, /^[\w-]{22}$/)
    assert.match(body.version.number, /^\d+\.\d+\.\d+$/)
    assert.equal(body.tagline, 'You Know, for Search')
    assert.deepEqual(Object.keys(body), ['name', 'cluster_name', 'cluster_uuid', 'version', 'tagline'])
    assert.deepEqual(Object.keys(body.version), ['number', 'build_flavor', 'build_type', 'build_hash', 'build_date',
      'build_snapshot', 'lucene_version', 'minimum_wire_compatibility_version', 'minimum_index_compatibility_version'])
  })

  it('HT-5 ping is true', async () => {
    const { body, headers, statusCode } = await admin.ping({}, { meta: true })
    assert.deepEqual([statusCode, body], [200, true])
    assert.equal(headers['x-elastic-product'], 'Elasticsearch')
  })

  // What a call asks for with a body and without, and what is answered.
  const asks = {
    9: { tags: ['HT-14', 'HT-10'], with: vendored, without: `${vendored},text/plain` },
    8: { tags: ['HT-14', 'HT-11'], with: vendored, without: `${vendored},text/plain` },
    7: versioned ? { tags: ['HT-11', 'HT-11'], with: vendored, without: vendored } : { tags: ['HT-13', 'HT-13'], with: undefined, without: undefined }
  }[major]

  it(`${asks.tags[0]} a call without a body, which asks for ${asks.without ?? 'nothing'}, gets JSON`, async () => {
    const { body, headers, meta } = await admin.security.authenticate({}, { meta: true })
    assert.equal(meta.request.params.headers.accept?.replaceAll(' ', ''), asks.without)
    assert.match(headers['content-type'], /^application\/(vnd\.elasticsearch\+)?json\b/)
    assert.equal(body.username, 'elastic')
  })

  it(`${asks.tags[1]} a call with a body, which asks for ${asks.with ?? 'nothing'}, gets the type that it sent`, async () => {
    const { headers, meta } = await admin.security.hasPrivileges({ cluster: ['monitor'] }, { meta: true })
    const sent = meta.request.params.headers
    assert.equal(sent.accept?.replaceAll(' ', ''), asks.with)
    assert.equal(sent['content-type'].replaceAll(' ', ''), asks.with ?? 'application/json')
    assert.equal(headers['content-type'], asks.with ?? 'application/json')
  })

  it('the health of the cluster is green', async () => {
    const health = await admin.cluster.health({ wait_for_status: 'green', timeout: '1s' })
    assert.deepEqual([health.status, health.timed_out], ['green', false])
  })
})

describe('users and roles', () => {
  it('a role and a user are put, read and deleted', async () => {
    const [name, username] = [unique('role'), unique('user')]
    const made = await admin.security.putRole({
      name,
      cluster: ['monitor'],
      indices: [{ names: ['logs-*'], privileges: ['read'], field_security: { grant: ['*'] } }],
      run_as: ['x'],
      metadata: { team: 'a' },
      description: 'reads logs'
    })
    assert.deepEqual(made, { role: { created: true } })
    assert.deepEqual(await admin.security.putRole({ name, cluster: ['monitor'] }), { role: { created: false } })
    assert.deepEqual((await admin.security.getRole({ name }))[name].cluster, ['monitor'])

    assert.deepEqual(await admin.security.putUser({ username, password: 'correct horse', roles: [name], full_name: 'A B', email: 'a@b.c', metadata: { n: 1 } }), { created: true })
    assert.deepEqual(await admin.security.getUser({ username }), {
      [username]: { username, roles: [name], full_name: 'A B', email: 'a@b.c', metadata: { n: 1 }, enabled: true }
    })

    assert.deepEqual(await admin.security.deleteUser({ username }), { found: true })
    assert.deepEqual(await admin.security.deleteRole({ name }), { found: true })
    const err = await admin.security.deleteUser({ username }).catch(err => err)
    assert.deepEqual([err.statusCode, err.body], [404, { found: false }])
  })

  it('HT-50 a user without a name and address has null for both', async () => {
    const u = await person()
    const me = await u.client.security.authenticate()
    assert.deepEqual(me, {
      username: u.name,
      roles: [u.role],
      full_name: null,
      email: null,
      metadata: {},
      enabled: true,
      authentication_realm: { name: 'default_native', type: 'native' },
      lookup_realm: { name: 'default_native', type: 'native' },
      authentication_type: 'realm'
    })
  })

  it('HT-61 after a change of password the old one fails at once', async () => {
    const u = await person()
    await u.client.security.authenticate()
    await u.client.security.changePassword({ password: 'another password' })
    const err = await refused(u.client.security.authenticate(), 401, 'security_exception')
    assert.match(err.body.error.reason, new RegExp(`unable to authenticate user \\[${u.name}\\] for REST request \\[/_security/_authenticate\\]`))
    await connect({ username: u.name, password: 'another password' }).security.authenticate()
  })

  it('a disabled user is refused at once and accepted again when enabled', async () => {
    const u = await person()
    await u.client.security.authenticate()
    await admin.security.disableUser({ username: u.name })
    await refused(u.client.security.authenticate(), 401, 'security_exception')
    await admin.security.enableUser({ username: u.name })
    await u.client.security.authenticate()
  })

  it('cluster privileges are told one by one', async () => {
    const u = await person('manage_own_api_key')
    const answer = await u.client.security.hasPrivileges({ cluster: ['manage_own_api_key', 'monitor'] })
    assert.deepEqual(answer, {
      username: u.name,
      has_all_requested: false,
      cluster: { manage_own_api_key: true, monitor: false },
      index: {},
      application: {}
    })
  })
})

describe('create', () => {
  it('AK-1 AK-4 AK-5 a key without expiry: id, secret with its checksum, encoded form', async () => {
    const u = await person('manage_own_api_key')
    const name = unique('key')
    const made = await u.client.security.createApiKey({ name })
    assert.deepEqual(Object.keys(made), ['id', 'name', 'api_key', 'encoded'])
    assert.equal(made.name, name)
    assert.match(made.id, /^[A-Za-z0-9_-]{20}$/)
    assert.match(made.api_key, /^lk_[A-Za-z0-9_-]{28}$/)
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(made.id + made.api_key.slice(3, 25)))
    assert.equal(made.api_key.slice(25), sum.toString('base64url'))
    assert.equal(made.encoded, Buffer.from(`${made.id}:${made.api_key}`).toString('base64'))
    assert.equal(made.encoded.slice(28, 32), 'bGtf')
  })

  it('AK-6 AK-25 AK-26 a key with descriptors, expiry and metadata is shown in normal form', async () => {
    const before = Date.now()
    const made = await admin.security.createApiKey({
      name: unique('key'),
      expiration: '1d',
      metadata: { app: 'shop', tags: ['a', { b: null }] },
      role_descriptors: { reader: { cluster: ['monitor'], index: [{ names: 'logs-*', privileges: ['read'], query: { term: { public: true } } }] } }
    })
    assert.ok(made.expiration >= before + day && made.expiration <= Date.now() + day, `${made.expiration}`)
    const { api_keys: [shown, ...others] } = await admin.security.getApiKey({ id: made.id })
    assert.deepEqual(others, [])
    assert.deepEqual([shown.expiration, shown.metadata], [made.expiration, { app: 'shop', tags: ['a', { b: null }] }])
    assert.deepEqual(shown.role_descriptors, {
      reader: {
        cluster: ['monitor'],
        indices: [{ names: ['logs-*'], privileges: ['read'], query: '{"term":{"public":true}}', allow_restricted_indices: false }],
        applications: [],
        run_as: [],
        metadata: {},
        transient_metadata: { enabled: true }
      }
    })
  })

  it('AK-3 two keys may share a name', async () => {
    const name = unique('key')
    const [a, b] = await Promise.all([1, 2].map(() => admin.security.createApiKey({ name })))
    assert.notEqual(a.id, b.id)
  })

  it('AK-8 a key that is expired when it is made does not authenticate', async () => {
    const made = await admin.security.createApiKey({ name: unique('key'), expiration: '1ms' })
    await dead(connect({ apiKey: made.encoded }))
  })

  it('AK-9 AK-13 AK-16 AK-22 what is wrong with a request is a typed 400', async () => {
    const create = params => admin.security.createApiKey({ name: unique('key'), ...params })
    const err = await refused(create({ expiration: '1w' }), 400, 'x_content_parse_exception')
    const chain = []
    for (let cause = err.body.error; cause; cause = cause.caused_by) chain.push(cause.type)
    assert.ok(chain.includes('illegal_argument_exception'), chain.join())
    await refused(create({ name: '' }), 400, 'action_request_validation_exception')
    await refused(create({ metadata: { _x: 1 } }), 400, 'action_request_validation_exception')
    await refused(create({ role_descriptors: { a: { cluster: ['no_such_privilege'] } } }), 400, 'action_request_validation_exception')
  })

  it('AK-31 HT-39 a user who may not is told what would have allowed it', async () => {
    const u = await person('monitor')
    const err = await refused(u.client.security.createApiKey({ name: unique('key') }), 403, 'security_exception')
    assert.equal(err.body.error.reason, `action [cluster:admin/xpack/security/api_key/create] is unauthorized for user [${u.name}]` +
      ` with effective roles [${u.role}], this action is granted by the cluster privileges [manage_own_api_key,manage_api_key,manage_security,all]`)
    assert.equal(err.headers['www-authenticate'], undefined)
    assert.equal(err.headers['x-elastic-product'], undefined)
  })
})

describe('use', () => {
  it('AK-124 HT-49 a key authenticates by its parts and in its encoded form', async () => {
    const u = await person('manage_own_api_key')
    const made = await u.client.security.createApiKey({ name: unique('key') })
    const parts = connect({ apiKey: { id: made.id, api_key: made.api_key } })
    for (const client of [parts, connect({ apiKey: made.encoded })]) {
      const me = await client.security.authenticate()
      assert.deepEqual([me.username, me.roles, me.authentication_type], [u.name, [], 'api_key'])
      assert.deepEqual(me.authentication_realm, { name: '_es_api_key', type: '_es_api_key' })
      assert.deepEqual(me.lookup_realm, me.authentication_realm)
      assert.deepEqual([me.api_key.id, me.api_key.name, me.api_key.managed_by], [made.id, made.name, 'elasticsearch'])
    }
  })

  it('AK-126 a wrong secret is a 401 with its detail apart and three challenges', async () => {
    const made = await admin.security.createApiKey({ name: unique('key') })
    const other = await admin.security.createApiKey({ name: unique('key') })
    const client = connect({ apiKey: { id: made.id, api_key: other.api_key } })
    const err = await refused(client.security.authenticate(), 401, 'security_exception')
    assert.match(err.body.error.reason, /unable to authenticate with provided credentials/)
    assert.match(err.body.error.additional_unsuccessful_credentials, /^API key: /)
    assert.deepEqual(err.body.error.header['WWW-Authenticate'], ['Basic realm="security", charset="UTF-8"', 'Bearer realm="security"', 'ApiKey'])
  })

  it('AK-131 AK-132 a key may do what both it and its owner may', async () => {
    const u = await person('monitor', 'manage_own_api_key')
    const k = await key(u.client, { role_descriptors: { all: { cluster: ['all'] } } })
    await k.client.info()
    await refused(k.client.security.getUser({ username: u.name }), 403, 'security_exception')
    const answer = await k.client.security.hasPrivileges({ cluster: ['monitor', 'manage_security'] })
    assert.deepEqual([answer.username, answer.cluster], [u.name, { monitor: true, manage_security: false }])
  })

  it('AK-130 a key outlives the disabling and the deletion of its owner and of its role', async () => {
    const u = await person('monitor', 'manage_own_api_key')
    const k = await key(u.client)
    await admin.security.disableUser({ username: u.name })
    await k.client.info()
    await admin.security.deleteUser({ username: u.name })
    await admin.security.deleteRole({ name: u.role })
    await k.client.info()
  })

  it('a key runs as another user whom its owner may run as', async () => {
    const target = await person()
    const u = await person('manage_own_api_key')
    await admin.security.putRole({ name: u.role, cluster: ['manage_own_api_key'], run_as: [target.name] })
    const k = await key(u.client)
    const me = await k.client.security.authenticate({}, { headers: { 'es-security-runas-user': target.name } })
    assert.deepEqual([me.username, me.authentication_realm.name, me.lookup_realm.name], [target.name, '_es_api_key', 'default_native'])
    await refused(k.client.security.authenticate({}, { headers: { 'es-security-runas-user': u.name } }), 403, 'security_exception')
  })
})

describe('get', () => {
  it('AK-43 AK-44 AK-45 AK-46 a user sees its own keys in the forms that it may ask', async () => {
    const [u, v] = [await person('manage_own_api_key'), await person('manage_own_api_key')]
    const [a, b, others] = [await key(u.client), await key(u.client), await key(v.client)]
    const ids = async params => (await u.client.security.getApiKey(params)).api_keys.map(k => k.id).sort()
    assert.deepEqual(await ids({ owner: true }), [a.id, b.id].sort())
    assert.deepEqual(await ids({ id: a.id, owner: true }), [a.id])
    assert.deepEqual(await ids({ username: u.name, realm_name: 'default_native' }), [a.id, b.id].sort())
    for (const params of [{}, { id: a.id }, { username: u.name }, { realm_name: 'default_native' }]) {
      await refused(u.client.security.getApiKey(params), 403, 'security_exception')
    }
    const all = (await admin.security.getApiKey()).api_keys.map(k => k.id)
    for (const k of [a, b, others]) assert.ok(all.includes(k.id))
  })

  it('AK-48 AK-50 by name, whole and by prefix', async () => {
    const prefix = unique('app')
    const made = await Promise.all(['-1', '-2'].map(n => admin.security.createApiKey({ name: prefix + n })))
    const names = async name => (await admin.security.getApiKey({ name })).api_keys.map(k => k.name).sort()
    assert.deepEqual(await names(`${prefix}*`), made.map(k => k.name))
    assert.deepEqual(await names(`${prefix}-2`), [`${prefix}-2`])
    assert.deepEqual(await names(`*${prefix}`), [])
    assert.deepEqual(await names(unique('nobody')), [])
  })

  it('AK-47 an unknown id is a 404 with an empty list', async () => {
    const err = await admin.security.getApiKey({ id: unique('no') }).catch(err => err)
    assert.deepEqual([err.name, err.statusCode, err.body], ['ResponseError', 404, { api_keys: [] }])
  })

  it('AK-49 AK-54 AK-55 AK-57 a live and an invalidated key', async () => {
    const made = await admin.security.createApiKey({ name: unique('key') })
    const get = async params => (await admin.security.getApiKey({ id: made.id, ...params })).api_keys[0]
    const live = await get({ active_only: true })
    assert.deepEqual(live, {
      id: made.id,
      name: made.name,
      type: 'rest',
      creation: live.creation,
      invalidated: false,
      username: 'elastic',
      realm: 'reserved',
      realm_type: 'reserved',
      metadata: {},
      role_descriptors: {}
    })
    await admin.security.invalidateApiKey({ ids: [made.id] })
    const gone = await get()
    assert.equal(gone.invalidated, true)
    assert.ok(gone.invalidation >= live.creation && gone.invalidation <= Date.now(), `${gone.invalidation}`)
    const err = await get({ active_only: true }).catch(err => err)
    assert.deepEqual([err.statusCode, err.body], [404, { api_keys: [] }])
  })

  it('AK-58 with_limited_by shows what the owner held', async () => {
    const u = await person('manage_own_api_key', 'monitor')
    const k = await key(u.client)
    const { api_keys: [shown] } = await u.client.security.getApiKey({ id: k.id, owner: true, with_limited_by: true })
    assert.deepEqual(shown.limited_by, [{
      [u.role]: {
        cluster: ['manage_own_api_key', 'monitor'],
        indices: [],
        applications: [],
        run_as: [],
        metadata: {},
        transient_metadata: { enabled: true }
      }
    }])
  })

  it('AK-52 selectors that exclude each other are told together', async () => {
    const err = await refused(admin.security.getApiKey({ id: 'x', name: 'y', username: 'u' }), 400, 'action_request_validation_exception')
    assert.match(err.body.error.reason, /^Validation Failed: 1: .*;2: /)
  })
})

describe('grant', () => {
  const granted = u => ({ grant_type: 'password', username: u.name, password: u.password, api_key: { name: unique('granted'), expiration: '1h', metadata: { by: 'x' } } })

  it('AK-34 the key is the grantee\'s, whose rights it has', async () => {
    const [granter, u] = [await person('grant_api_key'), await person('monitor')]
    const made = await granter.client.security.grantApiKey(granted(u))
    const { api_keys: [shown] } = await admin.security.getApiKey({ id: made.id })
    assert.deepEqual([shown.username, shown.realm, shown.metadata], [u.name, 'default_native', { by: 'x' }])
    await connect({ apiKey: made.encoded }).info()
  })

  it('AK-35 a wrong password is a 403 caused by a 401, so that the granter does not doubt its own', async () => {
    const [granter, u] = [await person('grant_api_key'), await person('monitor')]
    const err = await refused(granter.client.security.grantApiKey({ ...granted(u), password: 'not the password' }), 403, 'security_exception')
    assert.equal(err.body.error.caused_by.type, 'security_exception')
  })

  it('AK-40 to manage one\'s own keys does not include to grant', async () => {
    const u = await person('manage_own_api_key')
    const err = await refused(u.client.security.grantApiKey(granted(u)), 403, 'security_exception')
    assert.equal(err.body.error.reason, `action [cluster:admin/xpack/security/api_key/grant] is unauthorized for user [${u.name}]` +
      ` with effective roles [${u.role}], this action is granted by the cluster privileges [grant_api_key,manage_api_key,manage_security,all]`)
  })
})

describe('clear cache', () => {
  it('AK-123 everything or unknown ids, for who manages security', async () => {
    const k = await key(admin)
    for (const ids of ['*', k.id, unique('no')]) {
      const answer = await admin.security.clearApiKeyCache({ ids })
      assert.deepEqual([answer._nodes.failed, answer._nodes.successful], [0, 1])
    }
    await k.client.security.authenticate()
    const u = await person('manage_api_key')
    await refused(u.client.security.clearApiKeyCache({ ids: '*' }), 403, 'security_exception')
  })
})

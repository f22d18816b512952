// Users, roles, role mappings, privileges, service accounts and profiles as an
// administrator of an application handles them.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { admin, closeAll, connect, errors, key, major, pair, person, refused, unique } from './support.js'

after(closeAll)

// absent asserts that nothing is found: a 404 whose body is no error, of which the
// client makes an error unless it is told not to.
async function absent (call, body) {
  const err = await call().then(answer => assert.fail(JSON.stringify(answer)), err => err)
  assert.ok(err instanceof errors.ResponseError, `not an error of the client: ${err.stack}`)
  assert.deepEqual([err.statusCode, err.body], [404, body])
  assert.deepEqual(await call({ ignore: [404] }), body)
}

// out asserts that a password is refused.
const out = client => refused(client.security.authenticate(), 401, 'security_exception')

// cleared asserts that a cache was cleared on the only node.
function cleared (answer) {
  assert.deepEqual(answer._nodes, { total: 1, successful: 1, failed: 0 })
  assert.equal(Object.keys(answer.nodes).length, 1)
}

// app returns the name of an application that no other scenario uses.
const app = () => unique('app')

describe('users', () => {
  it('ID-18 ID-20 ID-22 ID-32 ID-34 put, get, put again without a password, delete', async () => {
    const name = unique('user')
    const password = unique('password')
    assert.deepEqual(await admin.security.putUser({
      username: name, password, roles: ['a', 'b'], full_name: 'A Person', email: 'a@example.org', metadata: { team: { id: 7 } }
    }), { created: true })
    assert.deepEqual(await admin.security.getUser({ username: [name, unique('no')] }), {
      [name]: { username: name, roles: ['a', 'b'], full_name: 'A Person', email: 'a@example.org', metadata: { team: { id: 7 } }, enabled: true }
    })
    assert.deepEqual(await admin.security.putUser({ username: name, roles: [] }), { created: false })
    const kept = (await admin.security.getUser({ username: name }))[name]
    assert.deepEqual([kept.roles, kept.full_name, kept.email], [[], null, null])
    const client = connect({ username: name, password })
    assert.equal((await client.security.authenticate()).authentication_realm.name, 'default_native')
    assert.deepEqual(await admin.security.deleteUser({ username: name }), { found: true })
    await out(client)
    await absent(options => admin.security.getUser({ username: name }, options), {})
    await absent(options => admin.security.deleteUser({ username: name }, options), { found: false })
  })

  it('ID-33 all of them have the built-in ones among them', async () => {
    const u = await person()
    const users = await admin.security.getUser()
    for (const name of ['elastic', 'kibana', 'kibana_system', 'logstash_system', 'beats_system', 'apm_system', 'remote_monitoring_user']) {
      assert.equal(users[name].metadata._reserved, true)
    }
    assert.deepEqual(users[u.name].roles, [u.role])
  })

  it('ID-35 ID-36 a user without any privilege changes their own password, but not with a token', async () => {
    const u = await person()
    const { client } = await pair(admin, u)
    await refused(client.security.changePassword({ password: 'by a token' }), 403, 'security_exception')
    assert.deepEqual(await u.client.security.changePassword({ password: 'another password' }), {})
    await out(u.client)
    await connect({ username: u.name, password: 'another password' }).security.authenticate()
  })

  it('ID-37 ID-38 the password of somebody else is for who manages security', async () => {
    const u = await person()
    const other = await person()
    const change = (by, username) => by.security.changePassword({ username, password: 'another password' })
    await refused(change(u.client, other.name), 403, 'security_exception')
    await refused(change(u.client, unique('nobody')), 403, 'security_exception')
    await refused(change(admin, unique('nobody')), 400, 'validation_exception')
    assert.deepEqual(await change(admin, other.name), {})
    await out(other.client)
  })

  it('ID-11 ID-21 ID-39 ID-40 a disabled user is out until enabled, and their keys are not', async () => {
    const u = await person('manage_own_api_key')
    const k = await key(u.client)
    assert.deepEqual(await admin.security.disableUser({ username: u.name }), {})
    await out(u.client)
    await k.client.security.authenticate()
    assert.equal((await admin.security.getUser({ username: u.name }))[u.name].enabled, false)
    assert.deepEqual(await admin.security.enableUser({ username: u.name }), {})
    await u.client.security.authenticate()
    await admin.security.disableUser({ username: u.name })
    await admin.security.putUser({ username: u.name, roles: [u.role] })
    await u.client.security.authenticate()
    await refused(admin.security.disableUser({ username: 'elastic' }), 400, 'illegal_argument_exception')
  })

  it('ID-19 ID-23 ID-25 ID-26 ID-29 ID-31 what cannot be a user is refused', async () => {
    const put = user => admin.security.putUser({ username: unique('user'), password: 'password', roles: [], ...user })
    await refused(put({ password: undefined }), 400, 'validation_exception')
    await refused(put({ roles: undefined }), 400, 'action_request_validation_exception')
    await refused(put({ password: '12345' }), 400, 'validation_exception')
    await refused(put({ password_hash: 'x' }), 400, 'validation_exception')
    await refused(put({ metadata: { _x: 1 } }), 400, 'action_request_validation_exception')
    await refused(put({ username: 'elastic' }), 400, 'action_request_validation_exception')
  })

  if (major > 7) {
    it('ID-41 ID-42 query finds native users page by page', async () => {
      const role = unique('role')
      const names = ['a', 'b', 'c'].map(unique)
      for (const username of names) await admin.security.putUser({ username, password: 'password', roles: [role] })
      const query = { wildcard: { roles: role.slice(0, -1) + '*' } }
      const page = await admin.security.queryUser({ query, sort: ['username'], size: 2 })
      assert.deepEqual([page.total, page.count, page.users.map(u => u.username)], [3, 2, names.slice(0, 2)])
      assert.deepEqual(page.users[1]._sort, [names[1]])
      const next = await admin.security.queryUser({ query, sort: ['username'], size: 2, search_after: page.users[1]._sort })
      assert.deepEqual(next.users.map(u => u.username), names.slice(2))
      const all = await admin.security.queryUser({ size: 1000 })
      assert.ok(!all.users.some(u => u.username === 'elastic'))
      assert.equal((await admin.security.queryUser({ query: { match_all: {} } })).total, all.total)
      await refused(admin.security.queryUser({ sort: ['full_name'] }), 400, 'illegal_argument_exception')
      await refused(admin.security.queryUser({ query: { term: { password: 'x' } } }), 400, 'illegal_argument_exception')
    })
  }
})

describe('roles', () => {
  it('ID-43 ID-44 ID-46 ID-53 put with all its parts, get, delete', async () => {
    const name = unique('role')
    const role = {
      cluster: ['monitor', 'manage_own_api_key'],
      indices: [{ names: ['logs-*'], privileges: ['read'], field_security: { grant: ['a*'], except: ['ab'] }, query: { match_all: {} } }],
      applications: [{ application: 'shop', privileges: ['read', 'data:*'], resources: ['*'] }],
      run_as: ['other-*'],
      metadata: { team: 7 }
    }
    assert.deepEqual(await admin.security.putRole({ name, ...role }), { role: { created: true } })
    assert.deepEqual(await admin.security.getRole({ name }), {
      [name]: {
        ...role,
        indices: [{ ...role.indices[0], query: '{"match_all":{}}', allow_restricted_indices: false }],
        transient_metadata: { enabled: true }
      }
    })
    assert.deepEqual(await admin.security.putRole({ name, indices: [{ names: '*', privileges: ['all'] }] }), { role: { created: false } })
    assert.deepEqual((await admin.security.getRole({ name }))[name].indices[0].names, ['*'])
    assert.deepEqual(await admin.security.deleteRole({ name }), { found: true })
    await absent(options => admin.security.getRole({ name }, options), {})
    await absent(options => admin.security.deleteRole({ name }, options), { found: false })
  })

  it('ID-47 ID-48 ID-52 ID-55 what cannot be a role is refused, and so is any change of a built-in one', async () => {
    const put = (role, name = unique('role')) => admin.security.putRole({ name, ...role })
    const err = await refused((await person()).client.security.putRole({ name: unique('role'), cluster: ['x'] }), 400, 'action_request_validation_exception')
    assert.match(err.body.error.reason, /unknown cluster privilege \[x\]/)
    const index = entry => ({ indices: [{ names: ['a'], privileges: ['read'], ...entry }] })
    await refused(put(index({ privileges: ['x'] })), 400, 'action_request_validation_exception')
    for (const security of [{ except: ['a'] }, { grant: ['a'], except: ['b'] }, {}]) {
      const err = await put(index({ field_security: security })).then(answer => assert.fail(JSON.stringify(answer)), err => err)
      assert.equal(err.statusCode, 400)
    }
    await refused(put({ remote_cluster: [{ clusters: ['a'], privileges: ['monitor'] }] }), 400, 'action_request_validation_exception')
    await put({ remote_cluster: [{ clusters: ['a'], privileges: ['monitor_enrich'] }] })
    await refused(put({ cluster: [] }, 'superuser'), 400, 'action_request_validation_exception')
    await refused(admin.security.deleteRole({ name: 'superuser' }), 400, 'illegal_argument_exception')
    assert.equal((await admin.security.getRole({ name: 'superuser' })).superuser.metadata._reserved, true)
  })

  it('ID-63 ID-109 a change counts from the next request on, with or without a cache', async () => {
    const u = await person('monitor')
    await u.client.info()
    await admin.security.putRole({ name: u.role, cluster: ['manage_own_api_key'] })
    await refused(u.client.cluster.health(), 403, 'security_exception')
    await key(u.client)
    cleared(await admin.security.clearCachedRoles({ name: u.role }))
    cleared(await admin.security.clearCachedRoles({ name: '*' }))
    await key(u.client)
  })

  it('ID-15 ID-16 ID-84 run_as lets a user act as those it names, and no other', async () => {
    const target = await person('monitor')
    const u = await person()
    await admin.security.putRole({ name: u.role, run_as: [target.name] })
    const as = name => ({ headers: { 'es-security-runas-user': name } })
    const me = await u.client.security.authenticate({}, as(target.name))
    assert.deepEqual([me.username, me.roles], [target.name, [target.role]])
    const err = await refused(u.client.security.authenticate({}, as('elastic')), 403, 'security_exception')
    assert.match(err.body.error.reason, /is unauthorized to run as \[elastic\]/)
    await refused(admin.security.authenticate({}, as(unique('nobody'))), 403, 'security_exception')
    const check = await u.client.security.hasPrivileges({ user: target.name, cluster: ['monitor'] }, as(target.name))
    assert.deepEqual([check.username, check.has_all_requested], [target.name, true])
  })

  if (major > 7) {
    it('ID-57 ID-58 ID-60 many are put and deleted by one call', async () => {
      const [a, b, bad] = ['a', 'b', 'bad'].map(unique)
      const made = await admin.security.bulkPutRole({ roles: { [a]: { cluster: ['monitor'] }, [b]: {}, [bad]: { cluster: ['x'] } } })
      assert.deepEqual([made.created, made.errors.count, made.errors.details[bad].type], [[a, b], 1, 'action_request_validation_exception'])
      assert.deepEqual(await admin.security.bulkPutRole({ roles: { [a]: { cluster: ['all'] }, [b]: {} } }), { updated: [a], noop: [b] })
      const gone = await admin.security.bulkDeleteRole({ names: [a, b, bad, 'superuser'] })
      assert.deepEqual([gone.deleted, gone.not_found, gone.errors.count], [[a, b], [bad], 1])
      assert.equal(gone.errors.details.superuser.type, 'illegal_argument_exception')
    })

    it('ID-61 query finds them by what they are', async () => {
      const team = unique('team')
      const names = ['a', 'b', 'c'].map(unique)
      for (const name of names) await admin.security.putRole({ name, description: 'a role', metadata: { team } })
      const page = await admin.security.queryRole({
        query: { bool: { must: { term: { 'metadata.team': team } }, must_not: { term: { 'metadata._reserved': true } } } }, sort: ['name'], size: 2
      })
      assert.deepEqual([page.total, page.count, page.roles.map(r => [r.name, r.description, r._sort])],
        [3, 2, names.slice(0, 2).map(name => [name, 'a role', [name]])])
    })
  }
})

describe('role mappings', () => {
  it('ID-91 put with rules, get, delete', async () => {
    const name = unique('mapping')
    const mapping = {
      enabled: true,
      roles: ['monitoring_user'],
      rules: { all: [{ field: { username: ['a', 'b'] } }, { any: [{ field: { groups: 'cn=a,dc=b' } }, { field: { 'realm.name': 'c' } }] }, { except: { field: { 'metadata.x': null } } }] },
      metadata: { team: 7 }
    }
    assert.deepEqual(await admin.security.putRoleMapping({ name, ...mapping }), { role_mapping: { created: true } })
    assert.deepEqual(await admin.security.getRoleMapping({ name }), { [name]: mapping })
    assert.deepEqual(await admin.security.putRoleMapping({ name, enabled: false, roles: ['b'], rules: { field: { username: ['a'] } } }), { role_mapping: { created: false } })
    assert.deepEqual((await admin.security.getRoleMapping())[name], { enabled: false, roles: ['b'], rules: { field: { username: 'a' } }, metadata: {} })
    assert.deepEqual(await admin.security.deleteRoleMapping({ name }), { found: true })
    await absent(options => admin.security.getRoleMapping({ name }, options), {})
    await absent(options => admin.security.deleteRoleMapping({ name }, options), { found: false })
  })

  it('ID-94 put with templates', async () => {
    const name = unique('mapping')
    const rules = { field: { 'realm.name': 'c' } }
    await admin.security.putRoleMapping({
      name,
      enabled: true,
      role_templates: [{ template: { source: '_user_{{username}}' } }, { template: { source: '{{#tojson}}groups{{/tojson}}' }, format: 'json' }],
      rules
    })
    assert.deepEqual((await admin.security.getRoleMapping({ name }))[name], {
      enabled: true,
      role_templates: [{ template: '{"source":"_user_{{username}}"}', format: 'string' }, { template: '{"source":"{{#tojson}}groups{{/tojson}}"}', format: 'json' }],
      rules,
      metadata: {}
    })
    await admin.security.deleteRoleMapping({ name })
  })

  it('ID-89 ID-90 what cannot be a mapping is refused', async () => {
    const put = mapping => admin.security.putRoleMapping({ name: unique('mapping'), enabled: false, roles: ['a'], rules: { field: { username: 'a' } }, ...mapping })
    await refused(put({ enabled: undefined }), 400, 'parsing_exception')
    await refused(put({ rules: undefined }), 400, 'parsing_exception')
    await refused(put({ role_templates: [{ template: { source: 'a' } }] }), 400, 'action_request_validation_exception')
    await refused(put({ rules: { except: { field: { username: 'a' } } } }), 400, 'parsing_exception')
    await refused(put({ rules: { any: [{ except: { field: { username: 'a' } } }] } }), 400, 'parsing_exception')
  })
})

describe('application privileges', () => {
  it('ID-73 ID-74 ID-109 put, get, delete', async () => {
    const name = app()
    const read = { actions: ['data:read/*', 'action:login'], metadata: { a: 1 } }
    const privileges = { [name]: { read, write: { actions: ['data:write/*'] } } }
    assert.deepEqual(await admin.security.putPrivileges({ privileges }), { [name]: { read: { created: true }, write: { created: true } } })
    assert.deepEqual(await admin.security.putPrivileges({ privileges }), { [name]: { read: { created: false }, write: { created: false } } })
    assert.deepEqual(await admin.security.getPrivileges({ application: name }), {
      [name]: { read: { application: name, name: 'read', ...read }, write: { application: name, name: 'write', actions: ['data:write/*'], metadata: {} } }
    })
    assert.deepEqual(Object.keys((await admin.security.getPrivileges({ application: name, name: 'read' }))[name]), ['read'])
    assert.ok((await admin.security.getPrivileges())[name])
    cleared(await admin.security.clearCachedPrivileges({ application: name }))
    assert.deepEqual(await admin.security.deletePrivileges({ application: name, name: ['read', 'no'] }), { [name]: { read: { found: true }, no: { found: false } } })
    await absent(options => admin.security.getPrivileges({ application: name, name: 'read' }, options), {})
    await absent(options => admin.security.deletePrivileges({ application: name, name: 'read' }, options), { [name]: { read: { found: false } } })
  })

  it('ID-75 ID-76 names follow rules, and who manages some applications manages no other', async () => {
    const put = (by, name, actions = ['data:read']) => by.security.putPrivileges({ privileges: { [name]: { read: { actions } } } })
    for (const [name, actions] of [['ap'], ['App'], ['app', ['read']]]) {
      await refused(put(admin, name, actions), 400, 'action_request_validation_exception')
    }
    const name = app()
    const u = await person()
    await admin.security.putRole({ name: u.role, global: { application: { manage: { applications: [`${name}*`] } } } })
    assert.deepEqual(await put(u.client, `${name}-1`), { [`${name}-1`]: { read: { created: true } } })
    await refused(put(u.client, app()), 403, 'security_exception')
    assert.deepEqual((await admin.security.getRole({ name: u.role }))[u.role].global, { application: { manage: { applications: [`${name}*`] } }, profile: {}, role: {} })
  })

  it('ID-72 the built-in ones are told in order', async () => {
    const told = await admin.security.getBuiltinPrivileges()
    for (const [list, some] of [['cluster', 'manage_own_api_key'], ['index', 'view_index_metadata']]) {
      assert.deepEqual(told[list], [...told[list]].sort())
      assert.ok(told[list].includes(some))
    }
  })
})

describe('checks of privileges', () => {
  it('ID-78 ID-86 ID-87 has_privileges and get user privileges tell what a role grants', async () => {
    const name = app()
    await admin.security.putPrivileges({ privileges: { [name]: { read: { actions: ['data:read/*'] } } } })
    const u = await person()
    await admin.security.putRole({
      name: u.role,
      cluster: ['monitor', 'manage_own_api_key'],
      indices: [{ names: ['logs-1', 'metrics-*'], privileges: ['read'] }],
      applications: [{ application: name, privileges: ['read'], resources: ['b'] }, { application: name, privileges: ['read'], resources: ['a/*'] }],
      run_as: ['x*']
    })
    assert.deepEqual(await u.client.security.hasPrivileges({
      cluster: ['monitor', 'manage'],
      index: [{ names: ['logs-*', 'metrics-1'], privileges: ['read', 'write'] }],
      application: [{ application: name, privileges: ['read', 'data:read/x', 'undefined'], resources: ['a/1', 'c'] }]
    }), {
      username: u.name,
      has_all_requested: false,
      cluster: { monitor: true, manage: false },
      index: { 'logs-*': { read: false, write: false }, 'metrics-1': { read: true, write: false } },
      application: { [name]: { 'a/1': { read: true, 'data:read/x': true, undefined: false }, c: { read: false, 'data:read/x': false, undefined: false } } }
    })
    const told = await u.client.security.getUserPrivileges()
    for (const a of told.applications) a.resources.sort()
    assert.deepEqual(told, {
      cluster: ['manage_own_api_key', 'monitor'],
      global: [],
      indices: [{ names: ['logs-1', 'metrics-*'], privileges: ['read'], allow_restricted_indices: false }],
      applications: [{ application: name, privileges: ['read'], resources: ['a/*', 'b'] }],
      run_as: ['x*']
    })
  })

  it('ID-77 ID-79 ID-81 ID-82 ID-83 of a superuser, and what cannot be asked', async () => {
    const yes = await admin.security.hasPrivileges({ cluster: ['all'], index: [{ names: 'a', privileges: ['all'] }] })
    assert.deepEqual([yes.has_all_requested, yes.index], [true, { a: { all: true } }])
    const restricted = await admin.security.hasPrivileges({ index: [{ names: ['*'], privileges: ['read', 'write'], allow_restricted_indices: true }] })
    assert.deepEqual(restricted.index, { '*': { read: true, write: false } })
    await refused(admin.security.hasPrivileges({ cluster: ['x'] }), 400, 'illegal_argument_exception')
    await refused(admin.security.hasPrivileges({ cluster: [] }), 400, 'action_request_validation_exception')
    const u = await person()
    await refused(admin.security.hasPrivileges({ user: u.name, cluster: ['all'] }), 400, 'illegal_argument_exception')
    await refused(u.client.security.hasPrivileges({ user: 'elastic', cluster: ['all'] }), 403, 'security_exception')
  })

  it('ID-85 ID-88 of a key: what it and its owner may, but not as a list if it has descriptors', async () => {
    const u = await person('manage_own_api_key', 'monitor')
    const narrow = await key(u.client, { role_descriptors: { a: { cluster: ['monitor', 'manage_security'] } } })
    const told = await narrow.client.security.hasPrivileges({ cluster: ['monitor', 'manage_security'] })
    assert.deepEqual([told.username, told.cluster], [u.name, { monitor: true, manage_security: false }])
    await refused(narrow.client.security.getUserPrivileges(), 400, 'illegal_argument_exception')
    const wide = await key(u.client)
    assert.deepEqual((await wide.client.security.getUserPrivileges()).cluster, ['manage_own_api_key', 'monitor'])
  })

  it('ID-64 ID-104 ID-106 ID-107 a denial tells who, what, and by which privilege it would be granted', async () => {
    const u = await person('manage')
    const err = await refused(u.client.security.createApiKey({ name: 'x' }), 403, 'security_exception')
    assert.equal(err.body.error.reason, `action [cluster:admin/xpack/security/api_key/create] is unauthorized for user [${u.name}] with effective roles [${u.role}], ` +
      'this action is granted by the cluster privileges [manage_own_api_key,manage_api_key,manage_security,all]')
    assert.equal(err.body.error.root_cause[0].type, 'security_exception')
    assert.equal(err.headers['www-authenticate'], undefined)
  })
})

describe('service accounts', () => {
  const fleet = { namespace: 'elastic', service: 'fleet-server' }

  it('ID-95 get accounts', async () => {
    const all = await admin.security.getServiceAccounts({ namespace: 'elastic' })
    assert.deepEqual(Object.keys(all).sort(), ['auto-ops', 'fleet-server', 'fleet-server-remote', 'kibana'].map(name => `elastic/${name}`))
    const one = await admin.security.getServiceAccounts(fleet)
    assert.deepEqual(Object.keys(one), ['elastic/fleet-server'])
    assert.ok(one['elastic/fleet-server'].role_descriptor.cluster.includes('manage_own_api_key'))
    assert.deepEqual(await admin.security.getServiceAccounts({ namespace: unique('no') }), {})
  })

  it('ID-96 ID-97 ID-98 ID-99 ID-101 ID-109 a token is made, told, used and deleted, and then refused at once', async () => {
    const name = unique('token')
    const made = await admin.security.createServiceToken({ ...fleet, name })
    assert.deepEqual([made.created, made.token.name], [true, name])
    assert.ok(Buffer.from(made.token.value, 'base64').toString('latin1').startsWith(`\x00\x01\x00\x01elastic/fleet-server/${name}:`))
    const told = await admin.security.getServiceCredentials(fleet)
    assert.deepEqual([told.service_account, told.tokens[name], told.count >= 1], ['elastic/fleet-server', {}, true])
    assert.equal(told.nodes_credentials._nodes.failed, 0)
    const client = connect({ bearer: made.token.value })
    const me = await client.security.authenticate()
    assert.deepEqual([me.username, me.roles, me.full_name, me.authentication_type, me.token.name, me.token.type],
      ['elastic/fleet-server', [], 'Service account - elastic/fleet-server', 'token', name, '_service_account_index'])
    const err = await refused(client.security.deleteUser({ username: 'x' }), 403, 'security_exception')
    assert.match(err.body.error.reason, /service account \[elastic\/fleet-server\].*\[manage_security,all\]$/)
    await refused(admin.security.createServiceToken({ ...fleet, name }), 409, 'version_conflict_engine_exception')
    cleared(await admin.security.clearCachedServiceTokens({ ...fleet, name }))
    await client.security.authenticate()
    assert.deepEqual(await admin.security.deleteServiceToken({ ...fleet, name }), { found: true })
    await refused(client.security.authenticate(), 401, 'security_exception')
    await absent(options => admin.security.deleteServiceToken({ ...fleet, name }, options), { found: false })
    assert.equal((await admin.security.getServiceCredentials(fleet)).tokens[name], undefined)
  })

  it('ID-98 ID-100 a token without a name gets one, and not every name will do', async () => {
    const made = await admin.security.createServiceToken(fleet)
    assert.match(made.token.name, /^token_/)
    await admin.security.deleteServiceToken({ ...fleet, name: made.token.name })
    await refused(admin.security.createServiceToken({ ...fleet, name: '_x' }), 400, 'action_request_validation_exception')
    await refused(admin.security.createServiceToken({ namespace: 'elastic', service: unique('no'), name: 'x' }), 400, 'illegal_argument_exception')
  })
})

if (major > 7) {
  describe('profiles', () => {
    const activate = u => admin.security.activateUserProfile({ grant_type: 'password', username: u.name, password: u.password })

    it('ID-102 ID-103 activate, get, give data, disable, enable, suggest', async () => {
      const u = await person()
      const { client, ...tokens } = await pair(admin, u)
      const made = await activate(u)
      assert.deepEqual([made.enabled, made.user.username, made.user.roles, made.user.realm_name, made.labels, made.data], [true, u.name, [u.role], 'default_native', {}, {}])
      const uid = made.uid
      assert.equal((await admin.security.activateUserProfile({ grant_type: 'access_token', access_token: tokens.access_token })).uid, uid)
      assert.equal((await admin.security.getUser({ username: u.name, with_profile_uid: true }))[u.name].profile_uid, uid)

      assert.deepEqual(await admin.security.updateUserProfileData({ uid, labels: { team: u.role }, data: { theme: { dark: true } } }), { acknowledged: true })
      const no = unique('u_no')
      const got = await admin.security.getUserProfile({ uid: [uid, no], data: 'theme' })
      assert.deepEqual([got.profiles.length, got.profiles[0].labels, got.profiles[0].data], [1, { team: u.role }, { theme: { dark: true } }])
      assert.deepEqual([got.errors.count, got.errors.details[no].type], [1, 'resource_not_found_exception'])
      assert.deepEqual((await admin.security.getUserProfile({ uid })).profiles[0].data, {})

      const suggested = await admin.security.suggestUserProfiles({ name: u.name, hint: { labels: { team: u.role } } })
      assert.deepEqual([suggested.total.value, suggested.profiles.map(p => p.uid)], [1, [uid]])
      assert.deepEqual(await admin.security.disableUserProfile({ uid }), { acknowledged: true })
      assert.deepEqual((await admin.security.suggestUserProfiles({ name: u.name })).profiles, [])
      assert.deepEqual(await admin.security.enableUserProfile({ uid }), { acknowledged: true })
      assert.equal((await admin.security.suggestUserProfiles({ name: u.name })).profiles.length, 1)
      assert.deepEqual((await activate(u)).labels, { team: u.role })
    })

    it('has privileges, and a wrong password makes none', async () => {
      const u = await person('monitor')
      const [a, b] = [await activate(u), await activate(await person())]
      const no = unique('u_no')
      const told = await admin.security.hasPrivilegesUserProfile({ uids: [a.uid, b.uid, no], privileges: { cluster: ['monitor'] } })
      assert.deepEqual([told.has_privilege_uids, told.errors.count], [[a.uid], 1])
      assert.equal(told.errors.details[no].type, 'resource_not_found_exception')
      await refused(activate({ ...u, password: 'not the password' }), 401, 'security_exception')
    })
  })

  describe('settings', () => {
    it('ID-110 are told and changed', async () => {
      const before = await admin.security.getSettings()
      assert.deepEqual(Object.keys(before), ['security', 'security-profile', 'security-tokens'])
      assert.deepEqual(await admin.security.updateSettings({ security: { 'index.number_of_replicas': 1 } }), { acknowledged: true })
      assert.equal((await admin.security.getSettings()).security.index.number_of_replicas, '1')
      await admin.security.updateSettings({ security: { index: { number_of_replicas: null } } })
      assert.deepEqual(await admin.security.getSettings(), before)
    })

    if (major > 8) {
      it('stats tell a cache for each node', async () => {
        const nodes = Object.values((await admin.security.getStats()).nodes)
        assert.equal(nodes.length, 1)
        assert.equal(nodes[0].roles.dls.bit_set_cache.count, 0)
      })
    }
  })
}

describe('realms', () => {
  it('ID-109 their caches are cleared', async () => {
    cleared(await admin.security.clearCachedRealms({ realms: 'default_native' }))
    cleared(await admin.security.clearCachedRealms({ realms: '*' }))
  })
})

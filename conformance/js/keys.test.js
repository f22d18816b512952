// API keys as their administrator handles them: searched, changed, made for other
// clusters, copied, and shown with all that can be asked for.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { admin, closeAll, connect, dead, errors, key, major, person, refused, unique } from './support.js'

after(closeAll)

const day = 86_400_000
const reads = { read: { cluster: ['monitor'] } }

// Release 8 of the client takes this member of a body for a parameter.
const identity = major === 8 ? undefined : 'CN=other,.*'

// query is a search among the keys whose names begin so.
const query = (prefix, params = {}, by = admin) => by.security.queryApiKeys({ query: { prefix: { name: prefix } }, ...params })

const names = answer => answer.api_keys.map(k => k.name)

const invalidate = (...ids) => admin.security.invalidateApiKey({ ids })

const shown = async (id, params = {}) => (await admin.security.getApiKey({ id, ...params })).api_keys[0]

// clone copies a key; release 8 of the client has no call for it.
function clone (by, params) {
  return major === 8 ? by.transport.request({ method: 'POST', path: '/_security/api_key/clone', body: params }) : by.security.cloneApiKey(params)
}

// three makes three keys of two users: a and b, which expires, of one; c, which is
// invalidated, of the other. Nobody else's names begin with prefix.
async function three () {
  const prefix = unique('q')
  const [u, v] = [await person('manage_own_api_key'), await person('manage_own_api_key')]
  const a = await key(u.client, { name: `${prefix}-a`, metadata: { env: 'prod', size: 42, letter: 'z' } })
  const b = await key(u.client, { name: `${prefix}-b`, metadata: { env: 'test', letter: 'y' }, expiration: '1d', role_descriptors: reads })
  const c = await key(v.client, { name: `${prefix}-c`, metadata: { env: 'prod', letter: 'x' } })
  await invalidate(c.id)
  return { prefix, u, v, a, b, c }
}

describe('query', () => {
  it('AK-63 AK-67 without a body ten of all, and by ids those, whole', async () => {
    const { u, a, b } = await three()
    const some = await admin.security.queryApiKeys()
    assert.equal(some.count, some.api_keys.length)
    assert.ok(some.count <= 10 && some.total >= 3, JSON.stringify(some))
    const { total, count, api_keys: keys } = await admin.security.queryApiKeys({ query: { ids: { values: [a.id, b.id, unique('no')] } }, sort: ['name'] })
    assert.deepEqual([total, count], [2, 2])
    const { creation, role_descriptors: roles, ...rest } = keys[1]
    assert.deepEqual(rest, {
      id: b.id,
      name: b.name,
      type: 'rest',
      expiration: b.expiration,
      invalidated: false,
      username: u.name,
      realm: 'default_native',
      realm_type: 'native',
      metadata: { env: 'test', letter: 'y' },
      _sort: [b.name]
    })
    assert.equal(b.expiration, creation + day)
    assert.deepEqual(roles.read.cluster, ['monitor'])
  })

  it('AK-68 AK-70 AK-71 AK-72 AK-73 AK-75 filters of every kind', async () => {
    const { prefix, u, a, b, c } = await three()
    const filters = [
      [[a, b, c], { match_all: {} }],
      [[a, b], { term: { username: u.name } }],
      [[a, b, c], { term: { realm_name: 'default_native' } }],
      [[a, c], { terms: { name: [a.name, c.name] } }],
      [[b], { wildcard: { name: '*-b' } }],
      [[a], { term: { 'metadata.size': 42 } }],
      [[a, b, c], { range: { creation: { lte: 'now', gt: 'now-1h' } } }],
      [[b], { exists: { field: 'expiration' } }],
      [[b], { range: { expiration: { gte: 'now+1h' } } }],
      [[c], { term: { invalidated: true } }],
      [[a, c], { match: { 'metadata.env': 'prod' } }],
      [[b], { simple_query_string: { query: 'test', fields: ['metadata'] } }],
      [[], { simple_query_string: { query: 'api_key', fields: ['doc_type'] } }],
      [[a], { bool: { must: [{ term: { 'metadata.env': 'prod' } }], must_not: [{ term: { invalidated: true } }] } }],
      [[b, c], { bool: { should: [{ ids: { values: [c.id] } }, { term: { name: b.name } }], minimum_should_match: 1 } }]
    ]
    for (const [found, filter] of filters) {
      const answer = await admin.security.queryApiKeys({ query: { bool: { filter: [{ prefix: { name: prefix } }, filter] } }, sort: ['name'] })
      assert.deepEqual(names(answer), found.map(k => k.name), JSON.stringify(filter))
      assert.deepEqual([answer.total, answer.count], [found.length, found.length])
    }
  })

  it('AK-68 AK-69 AK-74 AK-76 AK-81 what no search may ask is a typed 400', async () => {
    for (const wrong of [{ term: { realm: 'x' } }, { term: { id: 'x' } }, { term: { api_key_hash: 'x' } }, { fuzzy: { name: 'x' } }, { query_string: { query: 'x' } }]) {
      await refused(admin.security.queryApiKeys({ query: wrong }), 400, 'illegal_argument_exception')
    }
    await refused(admin.security.queryApiKeys({ query: { nothing_like_it: {} } }), 400, 'parsing_exception')
    await refused(admin.security.queryApiKeys({ sort: ['doc_type'] }), 400, 'illegal_argument_exception')
    await refused(admin.security.queryApiKeys({ size: -1 }), 400, 'action_request_validation_exception')
    const err = await refused(admin.security.queryApiKeys({ from: 9999, size: 2 }), 400, 'search_phase_execution_exception')
    assert.equal(err.body.error.root_cause[0].type, 'illegal_argument_exception')
  })

  it('AK-78 AK-79 AK-81 sorted by texts, times and metadata', async () => {
    const { prefix, a } = await three()
    const orders = [
      [['name'], ['a', 'b', 'c']],
      [[{ name: { order: 'desc' } }], ['c', 'b', 'a']],
      [[{ 'metadata.letter': { order: 'asc' } }], ['c', 'b', 'a']],
      [[{ expiration: { missing: '_first' } }, { name: { order: 'desc' } }], ['c', 'a', 'b']]
    ]
    for (const [sort, ends] of orders) {
      assert.deepEqual(names(await query(prefix, { sort })), ends.map(end => `${prefix}-${end}`), JSON.stringify(sort))
    }
    const [k] = (await query(a.name, { sort: [{ creation: { order: 'desc' } }] })).api_keys
    assert.deepEqual(k._sort, [k.creation])
    const [text] = (await query(a.name, { sort: [{ creation: { format: 'date_time' } }] })).api_keys
    assert.deepEqual(text._sort, [new Date(k.creation).toISOString()])
    const [plain] = (await query(a.name)).api_keys
    assert.ok(!('_sort' in plain))
  })

  it('AK-77 AK-80 page by page with search_after, by from and size, and none of them', async () => {
    const prefix = unique('page')
    for (const end of ['a', 'b', 'c', 'd', 'e']) await admin.security.createApiKey({ name: `${prefix}-${end}` })
    const sort = ['name', { creation: { order: 'asc' } }]
    const pages = []
    let after
    do {
      const page = await query(prefix, { sort, size: 2, ...after })
      assert.equal(page.total, 5)
      pages.push(names(page).map(name => name.at(-1)).join(''))
      after = page.count > 0 && { search_after: page.api_keys.at(-1)._sort }
    } while (after)
    assert.deepEqual(pages, ['ab', 'cd', 'e', ''])
    assert.deepEqual(names(await query(prefix, { sort, from: 3, size: 10 })), [`${prefix}-d`, `${prefix}-e`])
    assert.deepEqual(await query(prefix, { size: 0 }), { total: 5, count: 0, api_keys: [] })
  })

  it('AK-82 AK-83 AK-85 aggregations, with the names of their types and without', async () => {
    const { prefix, u, v } = await three()
    const aggs = {
      owners: { terms: { field: 'username' } },
      ended: { terms: { field: 'invalidated' } },
      users: { cardinality: { field: 'username' } },
      expiring: { value_count: { field: 'expiration' } },
      forever: { missing: { field: 'expiration' } },
      live: { filter: { term: { invalidated: false } }, aggs: { env: { terms: { field: 'metadata.env' } } } },
      envs: { filters: { filters: { prod: { term: { 'metadata.env': 'prod' } }, other: { term: { 'metadata.env': 'none' } } } } },
      when: { date_range: { field: 'creation', ranges: [{ key: 'today', from: 'now-1h' }] } },
      soon: { range: { field: 'expiration', keyed: true, ranges: [{ key: 'any', from: 0 }] } },
      pairs: { composite: { size: 1, sources: [{ user: { terms: { field: 'username' } } }, { env: { terms: { field: 'metadata.env' } } }] } }
    }
    const counts = buckets => Object.fromEntries(buckets.map(b => [b.key_as_string ?? b.key, b.doc_count]))
    const check = (got, name = plain => plain) => {
      assert.deepEqual(counts(got[name('owners', 'sterms')].buckets), { [u.name]: 2, [v.name]: 1 })
      assert.equal(got[name('owners', 'sterms')].sum_other_doc_count, 0)
      assert.deepEqual(counts(got[name('ended', 'lterms')].buckets), { false: 2, true: 1 })
      assert.equal(got[name('users', 'cardinality')].value, 2)
      assert.equal(got[name('expiring', 'value_count')].value, 1)
      assert.equal(got[name('forever', 'missing')].doc_count, 2)
      const live = got[name('live', 'filter')]
      assert.deepEqual([live.doc_count, counts(live[name('env', 'sterms')].buckets)], [2, { prod: 1, test: 1 }])
      assert.deepEqual(got[name('envs', 'filters')].buckets, { prod: { doc_count: 2 }, other: { doc_count: 0 } })
      const [today] = got[name('when', 'date_range')].buckets
      assert.deepEqual([today.key, today.doc_count, typeof today.from], ['today', 3, 'number'])
      assert.equal(got[name('soon', 'range')].buckets.any.doc_count, 1)
      const first = [u.name, v.name].sort()[0]
      const pairs = got[name('pairs', 'composite')]
      assert.deepEqual(pairs, { after_key: { user: first, env: 'prod' }, buckets: [{ key: { user: first, env: 'prod' }, doc_count: 1 }] })
    }
    const plain = await query(prefix, { size: 0, aggs })
    assert.deepEqual([plain.total, plain.count, plain.api_keys], [3, 0, []])
    check(plain.aggregations)
    check((await query(prefix, { size: 0, aggs, typed_keys: true })).aggregations, (name, type) => `${type}#${name}`)
    assert.deepEqual(await query(unique('no'), { aggs }), { total: 0, count: 0, api_keys: [] })
  })

  it('AK-83 composite goes through all pairs page by page', async () => {
    const { prefix, u, v } = await three()
    const composite = { size: 2, sources: [{ user: { terms: { field: 'username' } } }, { env: { terms: { field: 'metadata.env', order: 'desc' } } }] }
    const pairs = []
    for (;;) {
      const { aggregations: { pairs: page } } = await query(prefix, { size: 0, aggs: { pairs: { composite } } })
      pairs.push(...page.buckets.map(b => `${b.key.user} ${b.key.env} ${b.doc_count}`))
      if (!page.after_key) break
      composite.after = page.after_key
    }
    const mine = [`${u.name} test 1`, `${u.name} prod 1`]
    assert.deepEqual(pairs, u.name < v.name ? [...mine, `${v.name} prod 1`] : [`${v.name} prod 1`, ...mine])
  })

  it('AK-84 aggregations that could tell or cost too much are refused', async () => {
    for (const wrong of [{ global: {} }, { terms: { script: 'x' } }, { composite: { sources: [{ x: { histogram: { field: 'creation', interval: 1 } } }] } }]) {
      await refused(admin.security.queryApiKeys({ aggs: { wrong } }), 400, 'illegal_argument_exception')
    }
  })

  it('AK-64 AK-65 AK-66 AK-86 users see their own keys, a key itself, and others nothing', async () => {
    const { u, v, a, b } = await three()
    const mine = await u.client.security.queryApiKeys({ sort: ['name'], aggs: { others: { filter: { term: { username: v.name } } } } })
    assert.deepEqual([mine.total, names(mine), mine.aggregations.others.doc_count], [2, [a.name, b.name], 0])
    const itself = await a.client.security.queryApiKeys()
    assert.deepEqual([itself.total, names(itself)], [1, [a.name]])
    const stranger = await person('monitor')
    const err = await refused(stranger.client.security.queryApiKeys(), 403, 'security_exception')
    assert.match(err.body.error.reason, /^action \[cluster:admin\/xpack\/security\/api_key\/query\] is unauthorized for user/)
    await refused(connect({ username: u.name, password: 'wrong' }).security.queryApiKeys(), 401, 'security_exception')
    await invalidate(a.id)
    await refused(a.client.security.queryApiKeys(), 401, 'security_exception')
  })

  it('AK-58 with the limits of each key, and the profile of its owner', async () => {
    const { u, a } = await three()
    const { uid } = await admin.security.activateUserProfile({ grant_type: 'password', username: u.name, password: u.password })
    const [k] = (await query(a.name, { with_limited_by: true, with_profile_uid: true })).api_keys
    assert.deepEqual([k.limited_by.length, Object.keys(k.limited_by[0]), k.profile_uid], [1, [u.role], uid])
    assert.deepEqual(k.limited_by[0][u.role].transient_metadata, { enabled: true })
    const [plain] = (await query(a.name)).api_keys
    assert.ok(!('limited_by' in plain || 'profile_uid' in plain))
  })
})

describe('get', () => {
  it('AK-49 AK-58 AK-61 with its limits, with its owner\'s profile, and only if active', async () => {
    const u = await person('manage_own_api_key', 'monitor')
    const { uid } = await admin.security.activateUserProfile({ grant_type: 'password', username: u.name, password: u.password })
    const [k, other] = [await key(u.client), await key(admin)]
    const all = await shown(k.id, { with_limited_by: true, with_profile_uid: true, active_only: true })
    assert.deepEqual([all.profile_uid, all.limited_by[0][u.role].cluster], [uid, ['manage_own_api_key', 'monitor']])
    assert.ok(!('profile_uid' in await shown(other.id, { with_profile_uid: true })))
    await refused(k.client.security.getApiKey({ id: k.id, with_limited_by: true }), 403, 'security_exception')
    await invalidate(k.id)
    const err = await admin.security.getApiKey({ id: k.id, active_only: true }).catch(err => err)
    assert.ok(err instanceof errors.ResponseError, String(err))
    assert.deepEqual([err.statusCode, err.body], [404, { api_keys: [] }])
    assert.equal((await shown(k.id)).invalidated, true)
    assert.deepEqual((await admin.security.getApiKey({ username: u.name, active_only: true })).api_keys, [])
  })
})

describe('update', () => {
  it('AK-107 AK-109 AK-110 AK-114 what a key carries, while its secret stays', async () => {
    const u = await person('manage_own_api_key', 'monitor')
    const k = await key(u.client, { role_descriptors: { none: {} } })
    const update = params => u.client.security.updateApiKey({ id: k.id, ...params })
    const may = async () => (await k.client.security.hasPrivileges({ cluster: ['monitor'] })).has_all_requested
    assert.equal(await may(), false)
    assert.deepEqual(await update({ metadata: { a: [1] }, role_descriptors: reads }), { updated: true })
    assert.equal(await may(), true)
    assert.deepEqual(await update({ metadata: { a: [1] }, role_descriptors: reads }), { updated: false })
    assert.deepEqual(await update({ role_descriptors: {} }), { updated: true })
    assert.deepEqual(await update({}), { updated: false })
    for (let i = 0; i < 2; i++) assert.deepEqual(await update({ expiration: '1h' }), { updated: true })
    const { metadata, role_descriptors: roles, expiration } = await shown(k.id)
    assert.deepEqual([metadata, roles], [{ a: [1] }, {}])
    assert.ok(expiration > Date.now())
    assert.equal((await connect({ apiKey: k.encoded }).security.authenticate()).username, u.name)
  })

  it('AK-108 a key has what its owner has by now', async () => {
    const u = await person('manage_own_api_key')
    const k = await key(u.client)
    await admin.security.putRole({ name: u.role, cluster: ['manage_own_api_key', 'monitor'] })
    const may = async () => (await k.client.security.hasPrivileges({ cluster: ['monitor'] })).has_all_requested
    assert.equal(await may(), false)
    assert.deepEqual(await u.client.security.updateApiKey({ id: k.id }), { updated: true })
    assert.equal(await may(), true)
  })

  it('AK-111 AK-112 AK-113 nobody else\'s key, no key that has ended, and by no key', async () => {
    const u = await person('manage_own_api_key')
    const [k, ended] = [await key(u.client), await key(u.client)]
    await invalidate(ended.id)
    const other = await refused(admin.security.updateApiKey({ id: k.id, metadata: {} }), 404, 'resource_not_found_exception')
    const none = await refused(admin.security.updateApiKey({ id: unique('no'), metadata: {} }), 404, 'resource_not_found_exception')
    assert.ok(other.body.error.reason.includes(k.id) && none.body.error.reason.includes('no-'), none.body.error.reason)
    await refused(u.client.security.updateApiKey({ id: ended.id, metadata: {} }), 400, 'illegal_argument_exception')
    await refused(k.client.security.updateApiKey({ id: k.id, metadata: {} }), 400, 'illegal_argument_exception')
    await refused(u.client.security.updateApiKey({ id: k.id, expiration: '0' }), 400, 'action_request_validation_exception')
    assert.deepEqual((await shown(k.id)).metadata, {})
  })

  it('AK-113 AK-115 AK-116 many at once, each with an outcome of its own', async () => {
    const u = await person('manage_own_api_key')
    const [a, same, ended] = [await key(u.client), await key(u.client, { metadata: { n: 1 } }), await key(u.client)]
    await invalidate(ended.id)
    const no = unique('no')
    const answer = await u.client.security.bulkUpdateApiKeys({ ids: [a.id, same.id, no, ended.id, a.id], metadata: { n: 1 } })
    assert.deepEqual([answer.updated, answer.noops, answer.errors.count], [[a.id], [same.id], 2])
    assert.deepEqual([answer.errors.details[no].type, answer.errors.details[ended.id].type], ['resource_not_found_exception', 'illegal_argument_exception'])
    assert.deepEqual(await u.client.security.bulkUpdateApiKeys({ ids: a.id, metadata: { n: 2 } }), { updated: [a.id], noops: [] })
    await refused(u.client.security.bulkUpdateApiKeys({ ids: [], metadata: {} }), 400, 'action_request_validation_exception')
    await refused(a.client.security.bulkUpdateApiKeys({ ids: [a.id], metadata: {} }), 400, 'illegal_argument_exception')
  })
})

describe('cross-cluster keys', () => {
  const access = { search: [{ names: ['logs-*'] }], replication: [{ names: ['archive'] }] }

  it('AK-62 AK-117 AK-119 made, shown and changed', async () => {
    const made = await admin.security.createCrossClusterApiKey({ name: unique('cross'), access, expiration: '1d', metadata: { a: 1 }, ...identity && { certificate_identity: identity } })
    assert.deepEqual(Object.keys(made), ['id', 'name', 'expiration', 'api_key', 'encoded'])
    const k = await shown(made.id, { with_limited_by: true })
    const normal = { search: [{ names: ['logs-*'], allow_restricted_indices: false }], replication: [{ names: ['archive'], allow_restricted_indices: false }] }
    assert.deepEqual([k.type, k.access, k.certificate_identity, k.metadata, Object.keys(k.role_descriptors), 'limited_by' in k],
      ['cross_cluster', normal, identity, { a: 1 }, ['cross_cluster'], false])
    assert.deepEqual(k.role_descriptors.cross_cluster.cluster, ['cross_cluster_search', 'monitor_enrich', 'cross_cluster_replication'])
    const update = params => admin.security.updateCrossClusterApiKey({ id: made.id, ...params })
    assert.deepEqual(await update({ access: k.access }), { updated: false })
    assert.deepEqual(await update({ access: { search: [{ names: ['*'] }] }, ...identity && { certificate_identity: null } }), { updated: true })
    const changed = (await admin.security.queryApiKeys({ query: { bool: { filter: [{ term: { type: 'cross_cluster' } }, { ids: { values: [made.id] } }] } } })).api_keys
    assert.deepEqual([changed.length, Object.keys(changed[0].access), 'certificate_identity' in changed[0]], [1, ['search'], false])
    await refused(update({ expiration: '1h' }), 400, 'action_request_validation_exception')
  })

  it('AK-117 AK-118 who manages keys alone may not make one, and none is made without access', async () => {
    const a = await person('manage_api_key')
    const err = await refused(a.client.security.createCrossClusterApiKey({ name: 'x', access }), 403, 'security_exception')
    assert.ok(err.body.error.reason.startsWith(`action [cluster:admin/xpack/security/cross_cluster/api_key/create] is unauthorized for user [${a.name}]`))
    await refused((await key(admin)).client.security.createCrossClusterApiKey({ name: 'x', access }), 400, 'illegal_argument_exception')
    await refused(admin.security.createCrossClusterApiKey({ name: 'x', access: {} }), 400, 'x_content_parse_exception')
  })

  it('AK-101 AK-102 AK-120 AK-121 one is not for requests, and each call knows its kind of key', async () => {
    const made = await admin.security.createCrossClusterApiKey({ name: unique('cross'), access })
    const rest = await key(admin)
    const err = await refused(connect({ apiKey: made.encoded }).security.authenticate(), 401, 'security_exception')
    assert.equal(err.body.error.reason, `authentication expected API key type of [rest], but API key [${made.id}] has type [cross_cluster]`)
    await refused(admin.security.updateApiKey({ id: made.id, metadata: {} }), 400, 'illegal_argument_exception')
    await refused(admin.security.updateCrossClusterApiKey({ id: rest.id, metadata: {} }), 400, 'illegal_argument_exception')
    const bulk = await admin.security.bulkUpdateApiKeys({ ids: [made.id], metadata: {} })
    assert.equal(bulk.errors.details[made.id].type, 'illegal_argument_exception')
    const a = await person('manage_api_key')
    const part = await a.client.security.invalidateApiKey({ ids: [made.id, rest.id] })
    assert.deepEqual([part.invalidated_api_keys, part.error_count, part.error_details.map(e => e.type)], [[rest.id], 1, ['security_exception']])
    await dead(rest.client)
    assert.deepEqual((await invalidate(made.id)).invalidated_api_keys, [made.id])
  })
})

describe('clone', () => {
  it('AK-122 a copy has the same owner and rights, and a secret and life of its own', async () => {
    const u = await person('manage_own_api_key', 'monitor')
    const source = await key(u.client, { metadata: { app: 'shop' }, role_descriptors: reads, expiration: '1d' })
    const made = await clone(admin, { api_key: source.encoded, name: unique('copy') })
    assert.deepEqual(Object.keys(made), ['id', 'name', 'expiration', 'api_key', 'encoded'])
    assert.equal(made.expiration, source.expiration)
    assert.notEqual(made.id, source.id)
    const [k, from] = [await shown(made.id), await shown(source.id)]
    assert.deepEqual([k.username, k.metadata], [u.name, { app: 'shop', _cloned_from: source.id }])
    assert.deepEqual(k.role_descriptors, from.role_descriptors)
    const forever = await clone(admin, { api_key: source.encoded, expiration: '-1', metadata: {} })
    assert.deepEqual([forever.name, 'expiration' in forever], [source.name, false])
    await invalidate(source.id)
    await dead(source.client)
    assert.equal((await connect({ apiKey: made.encoded }).security.authenticate()).username, u.name)
  })

  it('AK-122 of no key that does not authenticate, and of no garbage', async () => {
    const k = await key(admin)
    await invalidate(k.id)
    const err = await refused(clone(admin, { api_key: k.encoded }), 403, 'security_exception')
    assert.equal(err.body.error.caused_by.type, 'security_exception')
    await refused(clone(admin, { api_key: 'no credential' }), 400, 'status_exception')
    await refused(clone((await person('monitor')).client, { api_key: k.encoded }), 403, 'security_exception')
  })
})

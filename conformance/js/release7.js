// Release 7.17 of the client in the manner of its successors, so that all go
// through the same scenarios. There the members of a body stood in a parameter
// of their own, and a call answered with the whole exchange.

// The calls that send a body, with the parameters that belong to their path.
const bodies = {
  changePassword: ['username'],
  createApiKey: [],
  getToken: [],
  grantApiKey: [],
  hasPrivileges: ['user'],
  invalidateApiKey: [],
  invalidateToken: [],
  putRole: ['name'],
  putRoleMapping: ['name'],
  putUser: ['username'],
  queryApiKeys: ['typed_keys', 'with_limited_by', 'with_profile_uid']
}

// Calls that came later, as what they send.
const later = {
  activateUserProfile: body => ({ method: 'POST', path: '/_security/profile/_activate', body }),
  bulkUpdateApiKeys: body => ({ method: 'POST', path: '/_security/api_key/_bulk_update', body }),
  cloneApiKey: body => ({ method: 'POST', path: '/_security/api_key/clone', body }),
  createCrossClusterApiKey: body => ({ method: 'POST', path: '/_security/cross_cluster/api_key', body }),
  updateApiKey: ({ id, ...body }) => ({ method: 'PUT', path: `/_security/api_key/${id}`, body }),
  updateCrossClusterApiKey: ({ id, ...body }) => ({ method: 'PUT', path: `/_security/cross_cluster/api_key/${id}`, body })
}

// The calls whose body is one parameter.
const whole = { putPrivileges: 'privileges' }

function split (params, path) {
  const sent = { body: {} }
  for (const [name, value] of Object.entries(params)) {
    if (path.includes(name)) sent[name] = value
    else sent.body[name] = value
  }
  return sent
}

function params7 (name, params) {
  if (whole[name]) return { body: params[whole[name]] }
  return bodies[name] ? split(params, bodies[name]) : params
}

function calls (api, transport) {
  return new Proxy(api, {
    get: (_, name) => async (params = {}, { meta, ...options } = {}) => {
      const answer = await (later[name] ? transport.request(later[name](params), options) : api[name](params7(name, params), options))
      return meta ? answer : answer.body
    }
  })
}

// inTheWordsOf7 returns options of 8 and 9 as release 7.17 knows them.
function inTheWordsOf7 ({ tls, compression, caFingerprint, ...options }) {
  if (tls) options.ssl = tls
  if (compression) Object.assign(options, { compression: 'gzip', suggestCompression: true })
  if (caFingerprint) {
    options.caFingerprint = caFingerprint.toUpperCase().match(/../g).join(':')
    // A resumed session shows no certificate, which it takes for a wrong one.
    options.agent = { maxCachedSessions: 0 }
  }
  return options
}

// successor returns a client that is called, and answers, as those of 8 and 9.
export function successor (Client, options) {
  const client = new Client(inTheWordsOf7(options))
  const { info, ping } = calls(client)
  return {
    info,
    ping,
    cluster: calls(client.cluster),
    security: calls(client.security, client.transport),
    diagnostic: client,
    get connectionPool () { return client.connectionPool },
    close: () => client.close()
  }
}

// What the client does beneath its calls: sniffing, warnings, retries, compression.
import assert from 'node:assert/strict'
import http from 'node:http'
import { after, describe, it } from 'node:test'
import { admin, closeAll, connect, key, node, unique } from './support.js'

after(closeAll)

// through runs scenario against a proxy that hands each exchange to change.
async function through (change, scenario) {
  const proxy = http.createServer((req, res) => {
    const there = http.request(new URL(req.url, node), { method: req.method, headers: req.headers }, answer => {
      const headers = { ...answer.headers }
      change(req, headers)
      res.writeHead(answer.statusCode, headers)
      answer.pipe(res)
    })
    req.pipe(there)
  })
  await new Promise(resolve => proxy.listen(0, '127.0.0.1', resolve))
  try {
    await scenario(`http://127.0.0.1:${proxy.address().port}`)
  } finally {
    proxy.closeAllConnections()
    await new Promise(resolve => proxy.close(resolve))
  }
}

describe('sniffing', () => {
  it('HT-56 a client that looks for nodes at its start works afterwards', async () => {
    const k = await key(admin)
    // Reached by another name, so that only what the sniff found has this address.
    const by = new URL(node)
    by.hostname = 'localhost'
    const client = connect({ apiKey: k.encoded }, { node: by.href, sniffOnStart: true, sniffEndpoint: '_nodes/_all/http' })
    const { error, result } = await new Promise(resolve => client.diagnostic.once('sniff', (error, result) => resolve({ error, result })))
    assert.equal(error, null)
    assert.equal(result.meta.sniff.reason, 'sniff-on-start')
    assert.deepEqual(client.connectionPool.connections.map(c => c.url.origin), [new URL(node).origin])
    assert.equal((await client.security.authenticate()).api_key.id, k.id)
  })

  it('HT-56 a client that looks for nodes again and again works afterwards', async () => {
    const client = connect({ apiKey: (await key(admin)).encoded }, { sniffInterval: 1 })
    for (let i = 0; i < 3; i++) {
      const sniffed = new Promise(resolve => client.diagnostic.once('sniff', error => resolve(error)))
      await new Promise(resolve => setTimeout(resolve, 5))
      await client.security.authenticate()
      assert.equal(await sniffed, null)
    }
  })
})

describe('warnings', () => {
  it('HT-52 no call of the main job is warned about', async () => {
    const username = unique('user')
    const calls = [
      o => admin.info({}, o),
      o => admin.security.putUser({ username, password: 'correct horse', roles: [] }, o),
      o => admin.security.createApiKey({ name: unique('key') }, o),
      o => admin.security.getApiKey({ owner: true }, o),
      o => admin.security.hasPrivileges({ cluster: ['monitor'] }, o),
      o => admin.security.invalidateApiKey({ username }, o),
      o => admin.security.clearApiKeyCache({ ids: '*' }, o),
      o => admin.security.deleteUser({ username }, o)
    ]
    for (const call of calls) assert.equal((await call({ meta: true })).warnings, null)
  })

  it('HT-52 a warning in the server\'s form is understood', async () => {
    const warning = '299 Elasticsearch-9.4.0-0123456789abcdef0123456789abcdef01234567 "use \\"ids\\" instead"'
    await through((_, headers) => { headers.warning = warning }, async url => {
      const client = connect({ apiKey: (await key(admin)).encoded }, { node: url })
      assert.deepEqual((await client.security.authenticate({}, { meta: true })).warnings, [warning])
    })
  })
})

describe('compression', () => {
  it('HT-53 a compressed request is read, and an answer is compressed for who asks', async () => {
    const encodings = []
    // Release 7.17 asks for / before its first call, to see that it talks to Elasticsearch.
    const record = (req, headers) => req.url === '/' || encodings.push([req.headers['content-encoding'], headers['content-encoding']])
    await through(record, async url => {
      const auth = { apiKey: (await key(admin)).encoded }
      const packed = connect(auth, { node: url, compression: true })
      const metadata = { text: 'x'.repeat(5000) }
      const made = await packed.security.createApiKey({ name: unique('key'), metadata, role_descriptors: { none: {} } })
      assert.deepEqual(encodings.shift()[0], 'gzip')
      assert.deepEqual((await admin.security.getApiKey({ id: made.id })).api_keys[0].metadata, metadata)
      await packed.security.getApiKey({ id: made.id })
      assert.equal(encodings.shift()[1], 'gzip')
      await connect(auth, { node: url }).security.authenticate()
      assert.equal(encodings.shift()[1], undefined)
    })
  })
})

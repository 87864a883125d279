// Uses GitHub's own client against the API at GITHUB_API_URL with GITHUB_TOKEN: secrets and variables of the repository
// acme/fleet, of its environment "prod/eu west" and of the organization acme. Fails on the first complaint.
import assert from 'node:assert/strict'
import sodium from 'libsodium-wrappers'
import { Octokit, RequestError } from 'octokit'

const usual = { auth: process.env.GITHUB_TOKEN, baseUrl: process.env.GITHUB_API_URL, userAgent: 'a-stranger' }
// As it comes, the client writes once a second at most, and tries again what was refused.
const octokit = new Octokit({ ...usual, throttle: { enabled: false }, retry: { enabled: false } })

async function seal(key, value) {
  await sodium.ready
  const box = sodium.crypto_box_seal(sodium.from_string(value), sodium.from_base64(key, sodium.base64_variants.ORIGINAL))
  return sodium.to_base64(box, sodium.base64_variants.ORIGINAL)
}

async function refused(call, status, words) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof RequestError, `${error}`)
    assert.equal(error.status, status)
    assert.match(error.message, words)
    return true
  })
}

const { actions } = octokit.rest
const fleet = { owner: 'acme', repo: 'fleet' }
const prod = { ...fleet, environment_name: 'prod/eu west' }
const acme = { org: 'acme' }

// One scope's methods have the same names but for a word.
async function secrets(word, scope, extra) {
  const call = (name, parameters) => actions[name]({ ...scope, ...parameters })
  const { data: key } = await call(`get${word}PublicKey`)
  const put = async (secret_name, value, more = {}) =>
    (await call(`createOrUpdate${word}Secret`, { secret_name, key_id: key.key_id, encrypted_value: await seal(key.key, value), ...extra, ...more })).status
  assert.equal(await put('FROM_OCTOKIT', 'first'), 201)
  assert.equal(await put('from_octokit', 'sealed by libsodium'), 204)
  const { data: one } = await call(`get${word}Secret`, { secret_name: 'FROM_OCTOKIT' })
  assert.equal(one.name, 'FROM_OCTOKIT')
  const all = await octokit.paginate(actions[`list${word}Secrets`], { ...scope, per_page: 2 })
  assert.deepEqual(all.map((s) => s.name), ['BY_HAND_1', 'BY_HAND_2', 'BY_HAND_3', 'FROM_OCTOKIT'])
  assert.equal((await call(`delete${word}Secret`, { secret_name: 'BY_HAND_2' })).status, 204)
  await refused(call(`delete${word}Secret`, { secret_name: 'BY_HAND_2' }), 404, /Not Found/)
  await refused(put('GITHUB_X', 'x'), 422, /GITHUB_/)
  await refused(put('A-B', 'x'), 422, /alphanumeric/)
  await refused(put('FROM_OCTOKIT', 'x', { key_id: '1' }), 422, /key_id/)
  await refused(put('FROM_OCTOKIT', 'x', { encrypted_value: 'c2VjcmV0' }), 422, /does not open/)
  await refused(put('FROM_OCTOKIT', 'x'.repeat(48 * 1024 + 1)), 422, /48 KB/)
}

async function variables(word, scope, extra) {
  const call = (name, parameters) => actions[name]({ ...scope, ...parameters })
  assert.equal((await call(`create${word}Variable`, { name: 'from_octokit', value: 'v', ...extra })).status, 201)
  await refused(call(`create${word}Variable`, { name: 'FROM_OCTOKIT', value: 'v', ...extra }), 409, /Already exists/)
  assert.equal((await call(`update${word}Variable`, { name: 'FROM_OCTOKIT', value: 'w' })).status, 204)
  const { data: one } = await call(`get${word}Variable`, { name: 'FROM_OCTOKIT' })
  assert.equal(one.value, 'w')
  const { data: all } = await call(`list${word}Variables`)
  assert.deepEqual(all.variables.map((v) => v.name), ['FROM_OCTOKIT'])
  await refused(call(`update${word}Variable`, { name: 'NONE', value: 'w' }), 404, /Not Found/)
}

await secrets('Repo', fleet, {})
await secrets('Environment', prod, {})
await secrets('Org', acme, { visibility: 'private' })
await variables('Repo', fleet, {})
await variables('Environment', prod, {})
await variables('Org', acme, { visibility: 'all' })

const { data: repository } = await octokit.rest.repos.get(fleet)
const secret_name = 'FROM_OCTOKIT'
const { data: key } = await actions.getOrgPublicKey(acme)
await actions.createOrUpdateOrgSecret({ ...acme, secret_name, key_id: key.key_id, encrypted_value: await seal(key.key, 'chosen'),
  visibility: 'selected', selected_repository_ids: [repository.id] })
const { data: selected } = await actions.listSelectedReposForOrgSecret({ ...acme, secret_name })
assert.deepEqual(selected.repositories.map((r) => r.full_name), ['acme/fleet'])

// As clients did it before environments were found by the repository's name.
const { data: old } = await octokit.request('GET /repositories/{id}/environments/{environment_name}/secrets', { id: repository.id, environment_name: 'prod/eu west' })
assert.equal(old.total_count, 3)
await refused(actions.getEnvironmentPublicKey({ ...fleet, environment_name: 'none' }), 404, /Not Found/)

// As it comes: it waits for as long as Retry-After says.
const limits = []
const careful = new Octokit({ ...usual, throttle: { onRateLimit: () => false, onSecondaryRateLimit: (after) => limits.push(after) > 0 } })
await careful.request('GET /user')
assert.deepEqual(limits, [1])

const job = new Octokit({ ...usual, auth: process.env.JOB_TOKEN })
await refused(job.rest.actions.getRepoPublicKey(fleet), 403, /not accessible by integration/)

// Uses Neon's own clients against the API at NEON_API_HOST with an organization's NEON_API_KEY. Prints the connection
// strings that they got, as JSON; fails on the first complaint.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { createApiClient } from '@neondatabase/api-client'

const host = process.env.NEON_API_HOST
const org = process.env.NEON_ORG_ID
const api = createApiClient({ apiKey: process.env.NEON_API_KEY, baseURL: host })

async function settled(projectId) {
  for (;;) {
    const { data } = await api.listProjectOperations({ projectId })
    if (data.operations.every((o) => o.status === 'finished')) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function everyProject() {
  const found = []
  let cursor
  do {
    const { data } = await api.listProjects({ limit: 2, cursor })
    found.push(...data.projects)
    cursor = data.projects.length > 0 ? data.pagination?.cursor : undefined
  } while (cursor)
  return found
}

async function withApiClient() {
  const before = await everyProject()
  const { data: made } = await api.createProject({ project: { name: 'By the API client', pg_version: 16 } })
  const projectId = made.project.id
  await settled(projectId)
  const after = await everyProject()
  assert.equal(after.length, before.length + 1)
  const { data: one } = await api.getProject(projectId)
  assert.equal(one.project.name, 'By the API client')
  const [branch] = (await api.listProjectBranches({ projectId })).data.branches
  assert.equal(branch.default, true)
  const { data: databases } = await api.listProjectBranchDatabases(projectId, branch.id)
  assert.deepEqual(databases.databases.map((d) => d.name), ['neondb'])
  const { data: roles } = await api.listProjectBranchRoles(projectId, branch.id)
  assert.deepEqual(roles.roles.map((r) => r.name), ['neondb_owner'])
  const { data: child } = await api.createProjectBranch(projectId, { branch: { name: 'child' }, endpoints: [{ type: 'read_write' }] })
  await settled(projectId)
  assert.equal(child.branch.parent_id, branch.id)
  await api.deleteProjectBranch({ projectId, branchId: child.branch.id })
  await settled(projectId)
  const { data: connection } = await api.getConnectionUri({ projectId, database_name: 'neondb', role_name: 'neondb_owner' })
  await assert.rejects(api.getProject('no-such-project'), (e) => e.response.status === 404 && e.response.data.message === 'project not found')
  return { projectId, uri: connection.uri }
}

async function neonctl(...args) {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath, ['node_modules/neonctl/bin/cli.js', ...args, '--api-host', host, '--no-analytics', '--output', 'json'],
    { env: process.env },
  )
  assert.doesNotMatch(stderr, /error|warn|deprecat/i, `neonctl ${args.join(' ')}: ${stderr}`)
  return stdout
}

async function withNeonctl() {
  const [projects, made] = (await Promise.all([
    neonctl('projects', 'list', '--org-id', org),
    neonctl('projects', 'create', '--name', 'By neonctl', '--org-id', org, '--region-id', 'aws-us-east-1'),
  ])).map((text) => JSON.parse(text))
  const id = made.project.id
  await settled(id)
  const branch = JSON.parse(await neonctl('branches', 'create', '--project-id', id, '--name', 'dev'))
  await settled(id)
  const [branches, operations, connection] = await Promise.all([
    neonctl('branches', 'list', '--project-id', id),
    neonctl('operations', 'list', '--project-id', id),
    neonctl('connection-string', 'dev', '--project-id', id),
  ])
  assert.equal(branch.branch.name, 'dev')
  assert.equal((projects.projects ?? projects).length >= 3, true)
  assert.equal(JSON.parse(branches).length, 2)
  assert.equal(JSON.parse(operations).length, 4)
  return { created: made.connection_uris[0].connection_uri, connection: connection.trim() }
}

console.log(JSON.stringify({ api: await withApiClient(), neonctl: await withNeonctl() }, null, 2))

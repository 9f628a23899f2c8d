// An OpenID provider on loopback, for the test of grapevine login --oidc. It knows
// the native programs grapevine and wiki, and lets in whoever gives a name: of
// alice it says that she is in the group devs, of others nothing. It prints what it
// is called, as one line, when it can be asked.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'

const native = (id) => ({
  client_id: id,
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code'],
  response_types: ['code'],
  redirect_uris: ['http://127.0.0.1/callback'],
})

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const server = createServer()
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(issuer, {
    clients: [native('grapevine'), native('wiki')],
    claims: { openid: ['sub'], groups: ['groups'] },
    conformIdTokenClaims: false,
    pkce: { methods: ['S256'], required: () => true },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'test', alg: 'RS256', use: 'sig' }] },
    cookies: { keys: ['of a test'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => (id === 'alice' ? { sub: id, groups: ['devs'] } : { sub: id }),
    }),
  })
  server.on('request', provider.callback())
  console.log(`issuer ${issuer}`)
})

// The provider of identities of tests/it/login.rs: oidc-provider over TLS, with pages of its own to sign in on. Whoever
// types a name is the account of that name. It says in one line where it listens.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const { CERT, KEY, REDIRECT, SECRET, ALGORITHM, METHOD } = process.env;
const key = async (alg) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: alg };
};
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const keys = await Promise.all(algorithms.map(key));
const server = createServer({ cert: readFileSync(CERT), key: readFileSync(KEY) });
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: 'autoshare',
      ...(METHOD === 'none' ? {} : { client_secret: SECRET }),
      token_endpoint_auth_method: METHOD,
      redirect_uris: [REDIRECT],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      id_token_signed_response_alg: ALGORITHM,
    }],
    clientAuthMethods: [METHOD],
    enabledJWA: { idTokenSigningAlgValues: algorithms },
    // Not in the ID token: as the specification has it, where an access token is given too, userinfo tells them.
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: !id.startsWith('new'), groups: ['staff'] }),
    }),
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true } },
    cookies: { keys: ['of a test'] },
  });
  server.on('request', provider.callback());
  console.log(JSON.stringify({ issuer }));
});

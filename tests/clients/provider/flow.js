// Tokens of oauth2-mock-server, got the way that its clients get them, against a gate that knows it as an issuer.
//
// Guarantees: the first line it prints is the issuer's URL; it then reads the gate's URL from standard input, goes through
// all steps and ends by itself within a minute; the first surprise ends the run, and no token is told.
// Does not know: how the gate fetches keys. The gate has a route `/read` for the scope `items:read`, takes the audience
// `api`, and asks for keys again after a short cooldown.

'use strict';

const DEADLINE_MS = 60_000;

const { createInterface } = require('node:readline/promises');
const packages = process.env.PROVIDER_PACKAGES;
const { OAuth2Server } = require(require.resolve('oauth2-mock-server', { paths: [packages] }));

function tellSurprise(error) {
  console.error(`FAILED: ${String(error?.message ?? error).replace(/[\w-]{16,}\.[\w-]{16,}\.[\w-]+/g, '<token>')}`);
  process.exit(1);
}

function expect(holds, surprise) {
  if (!holds) throw new Error(surprise);
}

/** An access token by the password grant, as a client of the provider gets it. */
async function signIn(issuer, username) {
  const body = new URLSearchParams({ grant_type: 'password', username, password: 'p', client_id: 'app', scope: 'items:read' });
  const response = await fetch(`${issuer}/token`, { method: 'POST', body });
  expect(response.status === 200, `the provider answered ${response.status}`);
  return response.json();
}

async function main() {
  const server = new OAuth2Server();
  await server.issuer.keys.generate('RS256', { kid: 'first' });
  // It puts an audience only into tokens for machines.
  server.service.on('beforeTokenSigning', (token) => {
    token.payload.aud ??= 'api';
  });
  await server.start(0, '127.0.0.1');
  const issuer = server.issuer.url;
  console.log(issuer);
  const gate = (await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value;

  const read = async (token) => (await fetch(`${gate}/read`, { headers: { Authorization: `Bearer ${token}` } })).status;
  const expectRead = async (token, expected, what) => {
    const status = await read(token);
    expect(status === expected, `${what}: ${status} instead of ${expected}`);
    console.log(`ok: ${what}: ${status}`);
  };

  const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  expect(metadata.issuer === issuer && metadata.jwks_uri === `${issuer}/jwks`, 'another issuer, or other keys');
  const pair = await signIn(issuer, 'alice');
  await expectRead(pair.access_token, 200, 'an access token');
  await expectRead(pair.id_token, 401, 'an ID token, which is for the client');
  const [head, payload, signature] = pair.access_token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'root' })).toString('base64url');
  await expectRead(`${head}.${forged}.${signature}`, 401, 'a forged one');

  await server.issuer.keys.generate('ES256', { kid: 'second' });
  const build = (kid, sub) => {
    const transform = (header, claims) => Object.assign(claims, { sub, aud: 'api', scope: 'items:read' });
    return server.issuer.buildToken({ kid, scopesOrTransform: transform });
  };
  const renewed = await build('second', 'bob');
  while ((await read(renewed)) !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
  console.log('ok: a new key is found when a token names it');

  const [known, fresh] = [await build('first', 'carol'), await build('second', 'dave')];
  await server.stop();
  await expectRead(known, 200, 'a known key while the provider is down');
  await expectRead(fresh, 200, 'the new one while the provider is down');
  process.exit(0);
}

process.on('uncaughtException', tellSurprise);
process.on('unhandledRejection', tellSurprise);
setTimeout(() => tellSurprise(`no end within ${DEADLINE_MS / 1000} s`), DEADLINE_MS).unref();
for (const name of Object.keys(process.env)) {
  if (name.toLowerCase().endsWith('_proxy')) delete process.env[name];
}

main();

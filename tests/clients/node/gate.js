// Where the gate is, who signs in, and how a verified step or a surprise is told.
//
// Guarantees: requiring it ends the process by itself after a minute, keeps proxies of the environment away from the
// clients, and turns every uncaught error into exit code 1 and one line that holds no token and no password.
// Does not know: any HTTP client, nor the order of the steps.

'use strict';

const DEADLINE_MS = 60_000;

function tellSurprise(error) {
  // Only the message: an HTTP client's error object carries the request with its credentials.
  const cause = error?.cause?.message ? ` (${error.cause.message})` : '';
  let text = `${error?.message ?? error}${cause}`.replace(/[\w-]{16,}\.[\w-]{16,}\.[\w-]+/g, '<token>');
  if (process.env.GATE_PASSWORD) text = text.replaceAll(process.env.GATE_PASSWORD, '<password>');
  console.error(`FAILED: ${text}`);
  process.exit(1);
}

function variable(name) {
  const value = process.env[name];
  if (!value) throw new Error(`the environment variable ${name} is missing`);
  return value;
}

function ok(step) {
  console.log(`ok: ${step}`);
}

function expect(holds, surprise) {
  if (!holds) throw new Error(surprise);
}

/** The claims of a JWT. Its signature is the gate's business, not a client's. */
function claims(token) {
  const parts = String(token).split('.');
  expect(parts.length === 3, 'a token is not a JWT of three parts');
  return JSON.parse(Buffer.from(parts[1], 'base64url'));
}

/** Checks what must hold for the body of every token answer. Returns the access token's claims. */
function expectPair(pair, scopes) {
  const access = claims(pair.access_token);
  expect(pair.token_type === 'Bearer', 'a pair with another token type than Bearer');
  expect(pair.id === access.jti, "the id of a pair is not its access token's jti");
  expect(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(pair.expires_at), 'expires_at is not UTC in whole seconds');
  expect(Date.parse(pair.expires_at) === access.exp * 1000, "expires_at is not the access token's exp");
  expect(pair.expires_in > 0, 'expires_in is missing');
  expect(String(access.scopes) === String(scopes), 'the access token has other scopes than those asked for');
  expect(claims(pair.refresh_token).jti, 'the refresh token has no jti to log');
  for (const [camel, snake] of [
    ['accessToken', 'access_token'],
    ['refreshToken', 'refresh_token'],
    ['tokenType', 'token_type'],
    ['expiresAt', 'expires_at'],
    ['expiresIn', 'expires_in'],
  ]) {
    expect(pair[camel] === pair[snake], `${camel} and ${snake} differ`);
  }
  return access;
}

process.on('uncaughtException', tellSurprise);
process.on('unhandledRejection', tellSurprise);
setTimeout(() => tellSurprise(`no end within ${DEADLINE_MS / 1000} s`), DEADLINE_MS).unref();
for (const name of Object.keys(process.env)) {
  if (name.toLowerCase().endsWith('_proxy')) delete process.env[name];
}

module.exports = {
  url: variable('GATE_URL').replace(/\/+$/, ''),
  user: variable('GATE_USER'),
  password: variable('GATE_PASSWORD'),
  ok,
  expect,
  claims,
  expectPair,
};

// What both OAuth scripts know: the gate's clients, the order of the steps, and how a surprise in them is told.
//
// Guarantees: each step is a call of the library that is given; an error that is not of the library's own class, or has
// another code than the step expects, ends the run.
// Does not know: either library.

'use strict';

const path = require('node:path');
const { pathToFileURL } = require('node:url');
const gate = require('./gate.js');
const { ok, expect } = gate;

const secrets = JSON.parse(process.env.GATE_SECRETS);
const list = new URL(`${gate.url}/3rdparty/v1/messages`);
const issuer = new URL(gate.url);
const algorithm = process.env.GATE_ALGORITHM;
const audience = process.env.GATE_AUDIENCE;

/** A package that prepare.sh has installed outside the sources; these are ES modules. */
function load(name, entry) {
  const file = path.join(__dirname, '../../../target/clients/node/node_modules', name, entry);
  return import(pathToFileURL(file));
}

/**
 * Goes through all that a client does. Of `library`: `as(id, way, secret)` is a client with the calls own, signIn,
 * refresh, introspect, revoke and use; `refusal(error)` is the code of the library's own error; `verify(token)` gives
 * the claims of a token that the library's JOSE has verified.
 */
async function flow(library) {
  const refused = async (action, code) => {
    const error = await action().then(() => undefined, (error) => error);
    expect(error, `${code} was expected, but the call succeeded`);
    if (library.refusal(error) !== code) throw error;
  };

  for (const way of ['basic', 'post']) {
    const reports = await library.as('reports', way, secrets.reports);
    const token = await reports.own({ scope: 'messages:list' });
    expect(token.scope === 'messages:list' && !token.refresh_token, 'another token than asked for');
    const claims = await library.verify(token.access_token);
    expect(claims.client_id === 'reports' && claims.sub === 'client:reports', 'a token of somebody else');
    expect((await reports.use(token.access_token)) === 200, "the route refuses the client's token");
    expect((await reports.introspect(token.access_token)).active === true, 'a fresh token is not active');
    await reports.revoke(token.access_token);
    expect((await reports.introspect(token.access_token)).active === false, 'a revoked token is active');
    expect((await reports.use(token.access_token)) === 401, 'the route takes a revoked token');
    ok(`${way}: a token for itself is verified, used, introspected and revoked`);
  }

  const web = await library.as('web', 'basic', secrets.web);
  const first = await web.signIn();
  expect((await library.verify(first.access_token)).sub === gate.user, 'a token of another user');
  const narrow = await web.refresh(first.refresh_token, { scope: 'messages:list' });
  expect(narrow.scope === 'messages:list', 'a narrower scope was asked for');
  const wide = await web.refresh(narrow.refresh_token);
  expect(wide.scope === first.scope, 'narrowing one token narrowed the session');
  expect((await web.introspect(wide.refresh_token)).username === gate.user, 'a refresh token of nobody');
  ok('a session is refreshed, for one token with a narrower scope');

  await refused(() => web.refresh(first.refresh_token), 'invalid_grant');
  expect((await web.introspect(wide.access_token)).active === false, 'reuse did not end the session');
  ok('reuse is invalid_grant and ends the session');

  const next = await web.signIn();
  await web.revoke(next.refresh_token);
  expect((await web.use(next.access_token)) === 401, 'the route takes a token of an ended session');
  await refused(() => web.refresh(next.refresh_token), 'invalid_grant');
  ok('revoking the refresh token ends its session');

  await refused(() => web.own(), 'unauthorized_client');
  const reports = await library.as('reports', 'basic', secrets.reports);
  await refused(() => reports.own({ scope: 'logs:read' }), 'invalid_scope');
  for (const way of ['basic', 'post']) {
    const stranger = await library.as('reports', way, 'wrong');
    await refused(() => stranger.own(), 'invalid_client');
    await refused(() => stranger.introspect(wide.access_token), 'invalid_client');
    await refused(() => stranger.revoke(wide.access_token), 'invalid_client');
  }
  ok('errors have their codes');

  for (const id of ['odd', 'umlaut']) {
    for (const way of ['basic', 'post']) await (await library.as(id, way, secrets[id])).own();
  }
  ok('odd secrets are sent encoded');
}

module.exports = { gate, load, flow, issuer, list, algorithm, audience };

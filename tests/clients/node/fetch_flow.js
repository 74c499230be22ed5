// Node's built-in fetch against the gate: an empty body where JSON is announced, and many calls at once.
//
// Guarantees: calls that are in flight while the session is refreshed all succeed; the first surprise ends the run.
// Does not know: any package. It needs Node 18 or later and a gate with its default `access_overlap`.

'use strict';

const gate = require('./gate.js');
const { ok, expect } = gate;

const SCOPES = ['messages:send', 'messages:read', 'messages:list', 'devices:list'];
const ROUNDS = 4;

function basic(password) {
  return `Basic ${Buffer.from(`${gate.user}:${password}`).toString('base64')}`;
}

async function call(expected, method, path, authorization, body) {
  const headers = { Authorization: authorization };
  if (method === 'POST') headers['Content-Type'] = 'application/json';
  const response = await fetch(`${gate.url}${path}`, { method, headers, body });
  const text = await response.text();
  // A refusal's text is for people; a success may hold tokens and is never quoted.
  const quoted = response.ok ? '' : `: ${text}`;
  expect(response.status === expected, `${method} ${path}: ${response.status} instead of ${expected}${quoted}`);
  return { headers: response.headers, data: JSON.parse(text) };
}

/** Reads three resources several times over, all at once. */
async function readInParallel(accessToken, messageId) {
  const read = (path) => call(200, 'GET', path, `Bearer ${accessToken}`);
  const paths = ['/messages?limit=10', '/devices', `/messages/${messageId}`];
  const answers = await Promise.all(Array.from({ length: ROUNDS }, () => paths.map(read)).flat());
  for (let i = 0; i < answers.length; i += paths.length) {
    const [list, devices, message] = answers.slice(i);
    expect(Array.isArray(list.data), 'the list of messages is not a list');
    expect(Number(list.headers.get('x-total-count')) >= list.data.length, 'no usable X-Total-Count');
    expect(devices.data[0]?.id && devices.data[0]?.name, 'no usable device');
    expect(message.data.id === messageId, 'an answer belongs to another request');
  }
}

async function main() {
  const wanted = JSON.stringify({ ttl: 3600, scopes: SCOPES });
  const first = (await call(201, 'POST', '/auth/token', basic(gate.password), wanted)).data;
  const issued = gate.expectPair(first, SCOPES);
  ok('fetch gets a pair');

  const message = { phoneNumbers: ['+15550100'], textMessage: { text: 'sent through the gate by fetch' } };
  const sent = (await call(202, 'POST', '/messages', `Bearer ${first.access_token}`, JSON.stringify(message))).data;
  expect(sent.id && sent.state === 'Pending', "not the upstream's answer");
  ok('fetch sends a message');

  await readInParallel(first.access_token, sent.id);
  ok(`${3 * ROUNDS} parallel reads succeed, each with its own answer`);

  const [second] = await Promise.all([
    call(200, 'POST', '/auth/token/refresh', `Bearer ${first.refresh_token}`),
    readInParallel(first.access_token, sent.id),
  ]);
  const renewed = gate.expectPair(second.data, SCOPES);
  expect(second.data.refresh_token !== first.refresh_token, 'the refresh token stays the same');
  expect(renewed.jti !== issued.jti, 'the access token stays the same');
  expect(renewed.sid === issued.sid, 'a refresh left its session');
  ok('a refresh with an empty body announced as JSON succeeds, and so do the reads in flight beside it');

  await readInParallel(second.data.access_token, sent.id);
  ok(`${3 * ROUNDS} parallel reads succeed with the new access token`);

  const wrong = await call(401, 'POST', '/auth/token', basic(`not ${gate.password}`), wanted);
  expect(wrong.data.message && wrong.headers.get('www-authenticate'), 'a wrong password is refused without a word');
  ok('a wrong password is refused');
}

main();

// The announcement's axios samples, word for word, against the gate.
//
// Guarantees: the published text is untouched; its address and account are replaced where axios lets every request
// pass. The first surprise ends the run.
// Does not know: any retry of a consumed refresh token: it expects the strictly single use that the announcement
// promises.

'use strict';

const path = require('node:path');
const gate = require('./gate.js');
const { ok, expect } = gate;

// prepare.sh installs axios there, outside the sources.
module.paths.push(path.join(__dirname, '../../../target/clients/node/node_modules'));

const firstAnswer = replaceAddressAndAccount(require('axios'));

// --- as published ---------------------------------------------------------------------------------------------------

const axios = require('axios');

(async () => {
  const response = await axios.post(
    'https://api.sms-gate.app/3rdparty/v1/auth/token',
    {
      ttl: 3600,
      scopes: ['messages:send', 'messages:read']
    },
    {
      auth: { username: 'username', password: 'password' },
      headers: { 'Content-Type': 'application/json' }
    }
  );

  const { access_token, refresh_token, expires_at } = response.data;
  console.log('✓ Token pair generated');
  console.log(`Access token expires: ${expires_at}`);
})();

async function refreshTokenPair(refreshToken) {
    const response = await axios.post(
        'https://api.sms-gate.app/3rdparty/v1/auth/token/refresh',
        {},
        {
            headers: { 'Authorization': `Bearer ${refreshToken}` }
        }
    );

    return {
        access_token: response.data.access_token,
        refresh_token: response.data.refresh_token,
        expires_at: response.data.expires_at
    };
}

// --- what drives them -----------------------------------------------------------------------------------------------

const SCOPES = ['messages:send', 'messages:read'];

/** Sends the samples' requests to the gate. Resolves to the first answer that any request gets. */
function replaceAddressAndAccount(axios) {
  axios.interceptors.request.use((config) => {
    config.url = config.url.replace('https://api.sms-gate.app/3rdparty/v1', gate.url);
    if (config.auth) config.auth = { username: gate.user, password: gate.password };
    return config;
  });
  return new Promise((resolve) => {
    axios.interceptors.response.use((response) => {
      resolve(response);
      return response;
    });
  });
}

function send(accessToken) {
  return axios.post(
    `${gate.url}/messages`,
    { phoneNumbers: ['+15550100'], textMessage: { text: 'sent through the gate by the sample' } },
    { headers: { Authorization: `Bearer ${accessToken}` } }
  );
}

/** Expects that `call` is refused as unauthorized, readably. */
async function refused(call, what) {
  const error = await call.then(() => null, (error) => error);
  expect(error, `${what} is still accepted`);
  expect(error.response, `${what}: ${error.message}`);
  expect(error.response.status === 401, `${what} is refused with ${error.response.status} instead of 401`);
  const { message } = error.response.data;
  expect(typeof message === 'string' && message, `${what}: no readable message`);
  expect(error.response.headers['www-authenticate'], `${what}: a 401 without WWW-Authenticate`);
}

async function main() {
  const first = await firstAnswer;
  expect(first.status === 201, `issuing answers ${first.status} instead of 201`);
  expect(first.headers['cache-control'] === 'no-store', 'a token answer may be stored by caches');
  const issued = gate.expectPair(first.data, SCOPES);
  ok('the first sample gets a pair');

  const oldRefreshToken = first.data.refresh_token;
  const newTokens = await refreshTokenPair(oldRefreshToken);
  console.log(`✓ Token refreshed, expires: ${newTokens.expires_at}`);
  const renewed = gate.claims(newTokens.access_token);
  expect(newTokens.refresh_token !== oldRefreshToken, 'the refresh token stays the same');
  expect(renewed.jti !== issued.jti, 'the access token stays the same');
  expect(renewed.sid === issued.sid, 'a refresh left its session');
  ok('the second sample refreshes it with the body {}');

  const sent = await send(newTokens.access_token);
  expect(sent.status === 202 && sent.data.id && sent.data.state === 'Pending', "not the upstream's 202");
  ok('the new access token sends a message');

  await refused(refreshTokenPair(oldRefreshToken), 'a consumed refresh token');
  ok('the consumed refresh token is refused with a readable body');

  await refused(send(newTokens.access_token), 'the access token of a session that saw a replay');
  await refused(refreshTokenPair(newTokens.refresh_token), 'the refresh token of a session that saw a replay');
  ok('the replay has ended the session');

  const account = { username: gate.user, password: gate.password };
  const again = await axios.post(`${gate.url}/auth/token`, { scopes: SCOPES }, { auth: account });
  expect(again.status === 201, `issuing anew answers ${again.status} instead of 201`);
  expect((await send(again.data.access_token)).status === 202, "not the upstream's 202");
  ok('the account signs in anew at once');
}

main();

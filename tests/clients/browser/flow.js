// docs/examples/browser.html in headless Chromium: sign in, call, 401 -> refresh -> retry, two tabs at once, sign out.
//
// PAGE_URL is the page, GATE_ORIGIN the gate, COOKIES whether the refresh token travels in one; GATE_USER and
// GATE_PASSWORD sign in. Prints "ok" if all is as it must be.
'use strict';

const assert = require('node:assert/strict');
const { chromium } = require(require.resolve('playwright-core', { paths: [process.env.NODE_MODULES] }));

const { PAGE_URL, GATE_ORIGIN, GATE_USER, GATE_PASSWORD, CHROMIUM } = process.env;
const COOKIES = process.env.COOKIES === 'true';
const NAME = '__Secure-refresh-token';

function watch(page) {
  const seen = [];
  page.on('response', (response) => {
    const request = response.request();
    if (request.method() === 'OPTIONS') return;
    seen.push(`${new URL(request.url()).pathname} ${response.status()}`);
  });
  return { page, seen, since: () => seen.splice(0) };
}

const text = (page, id) => page.textContent(`#${id}`);
const becomes = (page, id, wanted) =>
  page.waitForFunction(([id, wanted]) => document.getElementById(id).textContent.includes(wanted), [id, wanted]);

async function open(context) {
  const tab = watch(await context.newPage());
  await tab.page.goto(PAGE_URL);
  // With cookies the page begins with an attempt to go on where it left off.
  if (COOKIES) await tab.page.waitForFunction(() => document.getElementById('answer').textContent !== '');
  return tab;
}

async function call(page) {
  await page.click('#call');
  await becomes(page, 'answer', '"ok":true');
}

async function ours(context) {
  return (await context.cookies([`${GATE_ORIGIN}/refresh`, `${GATE_ORIGIN}/logout`])).filter(({ name }) => name === NAME);
}

async function main(context) {
  const one = await open(context);
  const { page } = one;
  assert.equal(await text(page, 'state'), 'signed out');
  one.since();

  await page.fill('#username', GATE_USER);
  await page.fill('#password', 'wrong');
  await page.click('#login');
  await becomes(page, 'answer', 'Invalid username or password.');
  await page.fill('#password', GATE_PASSWORD);
  const answered = page.waitForResponse((response) => response.url().endsWith('/login') && response.ok());
  await page.click('#login');
  const pair = await (await answered).json();
  await becomes(page, 'state', 'signed in');
  assert.equal('refreshToken' in pair, !COOKIES);
  assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]), ['', 0, 0]);
  const cookies = await ours(context);
  assert.deepEqual(cookies.map(({ path }) => path).sort(), COOKIES ? ['/logout', '/refresh'] : []);
  for (const { httpOnly, secure, sameSite } of cookies) {
    assert.deepEqual({ httpOnly, secure, sameSite }, { httpOnly: true, secure: true, sameSite: 'Strict' });
  }

  one.since();
  await call(page);
  assert.deepEqual(one.since(), ['/profile/me 200']);
  // The page learns why it was refused, also from another origin.
  const told = await page.evaluate(async (gate) => {
    const response = await fetch(gate + '/profile/me');
    return [response.status, response.headers.get('www-authenticate')];
  }, GATE_ORIGIN);
  assert.deepEqual(told, [401, 'Bearer realm="portcullis"']);

  // A token that really expires.
  await becomes(page, 'countdown', 'expired');
  one.since();
  await call(page);
  assert.deepEqual(one.since(), ['/profile/me 401', '/refresh 200', '/profile/me 200']);
  // Several calls that meet a 401 together.
  await page.evaluate(() => { accessToken += 'x'; });
  const statuses = await page.evaluate((gate) =>
    Promise.all([1, 2, 3].map(async () => (await makeAuthenticatedRequest(gate + '/profile/me')).status)), GATE_ORIGIN);
  assert.deepEqual(statuses, [200, 200, 200]);
  assert.equal(one.since().filter((line) => line === '/refresh 200').length, 1);
  // What a role forbids no refresh mends.
  const denied = await page.evaluate(async (gate) => {
    await refreshTokens();
    const response = await makeAuthenticatedRequest(gate + '/admin');
    return [response.status, await response.text()];
  }, GATE_ORIGIN);
  assert.deepEqual(denied, [403, `Access denied. User ${GATE_USER} is not an admin.`]);
  assert.deepEqual(one.since(), ['/refresh 200', '/admin 403']);

  // Two tabs at once.
  const two = await open(context);
  if (COOKIES) {
    await becomes(two.page, 'state', 'signed in');
  } else {
    const tokens = await page.evaluate(() => ({ accessToken, refreshToken, expiresIn: 3 }));
    await two.page.evaluate((tokens) => keep(tokens), tokens);
  }
  // Until both have presented the very same token: only then was it at once.
  let together = false;
  for (let round = 0; round < 40 && !together; round += 1) {
    const asked = [one, two].map(({ page }) => page.waitForRequest((request) => request.url().endsWith('/refresh')));
    const at = Date.now() + 100;
    const refreshed = [one, two].map(({ page }) => page.evaluate(async (at) => {
      await new Promise((resolve) => { setTimeout(resolve, at - Date.now()); });
      return refreshTokens().then(() => 'refreshed', (error) => error.message);
    }, at));
    assert.deepEqual(await Promise.all(refreshed), ['refreshed', 'refreshed']);
    const presented = await Promise.all((await Promise.all(asked)).map(async (request) =>
      (COOKIES ? (await request.allHeaders()).cookie : request.postData())));
    assert.ok(presented.every(Boolean), 'a refresh without a token');
    together = presented[0] === presented[1];
  }
  assert.ok(together, 'the tabs never refreshed at once');
  for (const { page, since } of [one, two]) {
    await page.evaluate(() => { accessToken += 'x'; });
    since();
    await call(page);
    assert.deepEqual(since(), ['/profile/me 401', '/refresh 200', '/profile/me 200']);
  }

  await page.click('#logout');
  await becomes(page, 'answer', 'Logged out successfully');
  assert.equal(await text(page, 'state'), 'signed out');
  assert.deepEqual(await ours(context), []);
  // The other tab's tokens are dead too.
  await two.page.click('#call');
  await becomes(two.page, 'answer', 'Invalid or expired refresh token');
  assert.equal(await text(two.page, 'state'), 'signed out');
}

(async () => {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
  const browser = await chromium.launch({ executablePath: CHROMIUM, args });
  try {
    const context = await browser.newContext();
    context.setDefaultTimeout(30000);
    await main(context);
    console.log('ok');
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

// Verifies an access token with nothing but what anybody may have: the published key of its kid, or the shared secret.
// It is told GATE_URL, GATE_TOKEN, GATE_ALGORITHM and, where there is one, GATE_SECRET.
"use strict";
const crypto = require("node:crypto");
const assert = require("node:assert");

const hash = (algorithm) => `sha${algorithm.slice(2)}`;

function verifies(algorithm, key, message, signature) {
  switch (algorithm.slice(0, 2)) {
    case "RS":
      return crypto.verify(hash(algorithm), message, key, signature);
    case "PS":
      // RFC 7518 section 3.5: the salt is as long as the hash.
      return crypto.verify(
        hash(algorithm),
        message,
        { key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST },
        signature,
      );
    case "ES":
      return crypto.verify(hash(algorithm), message, { key, dsaEncoding: "ieee-p1363" }, signature);
    case "Ed":
      return crypto.verify(null, message, key, signature);
  }
  throw new Error(`no such algorithm: ${algorithm}`);
}

async function main() {
  const { GATE_URL, GATE_TOKEN, GATE_ALGORITHM, GATE_SECRET } = process.env;
  const [header, claims, signature] = GATE_TOKEN.split(".");
  const { alg, kid, typ } = JSON.parse(Buffer.from(header, "base64url"));
  assert.deepStrictEqual([alg, typ], [GATE_ALGORITHM, "at+jwt"]);
  const message = Buffer.from(`${header}.${claims}`);
  const bytes = Buffer.from(signature, "base64url");
  const { keys } = await (await fetch(`${GATE_URL}/.well-known/jwks.json`)).json();
  if (alg.startsWith("HS")) {
    assert.deepStrictEqual(keys, []);
    assert.deepStrictEqual(crypto.createHmac(hash(alg), GATE_SECRET).update(message).digest(), bytes);
  } else {
    const published = keys.filter((key) => key.kid === kid);
    assert.strictEqual(published.length, 1);
    assert.deepStrictEqual([published[0].alg, published[0].use], [alg, "sig"]);
    const key = crypto.createPublicKey({ key: published[0], format: "jwk" });
    assert.ok(verifies(alg, key, message, bytes));
    assert.ok(!verifies(alg, key, Buffer.from(`${header}.${claims}A`), bytes));
  }
  console.log(`ok ${alg}`);
}

main();

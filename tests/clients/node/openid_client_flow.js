// openid-client, and jose beside it, as an OAuth client of the gate.
//
// Guarantees: every call is one of the library's; its metadata are the gate's own.
// Does not know: the order of the steps.

'use strict';

const { gate, load, flow, issuer, list, algorithm, audience } = require('./oauth.js');

(async () => {
  const openid = await load('openid-client', 'build/index.js');
  const jose = await load('jose', 'dist/webapi/index.js');
  const ways = { basic: openid.ClientSecretBasic, post: openid.ClientSecretPost };
  // The issuer is compared on the way.
  const discovered = (id, proof) =>
    openid.discovery(issuer, id, {}, proof, { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] });

  const keys = jose.createRemoteJWKSet(new URL((await discovered('any', openid.None())).serverMetadata().jwks_uri));

  await flow({
    async as(id, way, secret) {
      const config = await discovered(id, ways[way](secret));
      const user = { username: gate.user, password: gate.password };
      return {
        own: (asked = {}) => openid.clientCredentialsGrant(config, asked),
        signIn: () => openid.genericGrantRequest(config, 'password', user),
        refresh: (token, asked = {}) => openid.refreshTokenGrant(config, token, asked),
        introspect: (token) => openid.tokenIntrospection(config, token),
        revoke: (token) => openid.tokenRevocation(config, token),
        use: (token) => openid.fetchProtectedResource(config, token, list, 'GET').then(
          (answer) => answer.status,
          (error) => (error instanceof openid.WWWAuthenticateChallengeError ? error.status : Promise.reject(error)),
        ),
      };
    },
    refusal(error) {
      // It reads the challenge of a 401 and leaves the body, which has the same to say, unread.
      if (error instanceof openid.WWWAuthenticateChallengeError && error.status === 401) return 'invalid_client';
      return error instanceof openid.ResponseBodyError ? error.error : undefined;
    },
    async verify(token) {
      const demanded = { issuer: gate.url, audience, algorithms: [algorithm], typ: 'at+jwt' };
      return (await jose.jwtVerify(token, keys, demanded)).payload;
    },
  });
})();

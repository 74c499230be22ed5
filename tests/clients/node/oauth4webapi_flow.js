// oauth4webapi as an OAuth client of the gate, and as a resource server behind it.
//
// Guarantees: every request is the library's and every answer is read by it; a token is verified as RFC 9068 has it.
// Does not know: the order of the steps.

'use strict';

const { gate, load, flow, issuer, list, algorithm, audience } = require('./oauth.js');

(async () => {
  const oauth = await load('oauth4webapi', 'build/index.js');
  const options = { [oauth.allowInsecureRequests]: true };
  const ways = { basic: oauth.ClientSecretBasic, post: oauth.ClientSecretPost };
  const told = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options });
  const server = await oauth.processDiscoveryResponse(issuer, told);

  await flow({
    async as(id, way, secret) {
      const client = { client_id: id };
      const proof = ways[way](secret);
      const ask = (request, ...details) => request(server, client, proof, ...details, options);
      const user = { username: gate.user, password: gate.password };
      return {
        own: async (asked = {}) =>
          oauth.processClientCredentialsResponse(
            server, client, await ask(oauth.clientCredentialsGrantRequest, asked)),
        signIn: async () =>
          oauth.processGenericTokenEndpointResponse(
            server, client, await ask(oauth.genericTokenEndpointRequest, 'password', user)),
        refresh: async (token, asked = {}) => {
          const wanted = { ...options, additionalParameters: asked };
          const answer = await oauth.refreshTokenGrantRequest(server, client, proof, token, wanted);
          return oauth.processRefreshTokenResponse(server, client, answer);
        },
        introspect: async (token) =>
          oauth.processIntrospectionResponse(server, client, await ask(oauth.introspectionRequest, token)),
        revoke: async (token) => oauth.processRevocationResponse(await ask(oauth.revocationRequest, token)),
        use: (token) => oauth.protectedResourceRequest(token, 'GET', list, undefined, undefined, options).then(
          (answer) => answer.status,
          (error) => (error instanceof oauth.WWWAuthenticateChallengeError ? error.status : Promise.reject(error)),
        ),
      };
    },
    refusal(error) {
      // It reads the challenge of a 401 and leaves the body, which has the same to say, unread.
      if (error instanceof oauth.WWWAuthenticateChallengeError && error.status === 401) return 'invalid_client';
      return error instanceof oauth.ResponseBodyError ? error.error : undefined;
    },
    verify(token) {
      const request = new Request(list, { headers: { authorization: `Bearer ${token}` } });
      return oauth.validateJwtAccessToken(server, request, audience, { signingAlgorithms: [algorithm], ...options });
    },
  });
})();

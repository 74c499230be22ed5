"""Envoy's bootstrap: jwt_authn with a local key set, RBAC over the scopes.

Guarantees: signature, issuer, expiry and scope are checked, the subject goes to the upstream and the token does not.
Does not know: how Envoy is started.
"""

import json

_TYPES = "type.googleapis.com/envoy.extensions."
_JWT = "envoy.filters.http.jwt_authn"


def bootstrap(place, cache):
    """The text for a `place`; with `cache` the verified tokens are remembered, 10,000 per worker."""
    manager = {
        "stat_prefix": "gate",
        "codec_type": "AUTO",
        "generate_request_id": False,
        "use_remote_address": True,
        "http_filters": [_jwt(place.tokens, cache), _scope("items:read"), _router()],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "60s"}}],
                }
            ]
        },
    }
    filters = [_typed("manager", "filters.network.http_connection_manager.v3.HttpConnectionManager", manager)]
    listener = {
        "name": "gate",
        "address": _address(place.port),
        "tcp_backlog_size": 8192,
        "filter_chains": [{"filters": filters}],
    }
    return json.dumps(
        {
            "static_resources": {"listeners": [listener], "clusters": [_cluster(place.upstream)]},
            "overload_manager": {"resource_monitors": [_connection_limit(50_000)]},
        }
    )


def _jwt(tokens, cache):
    provider = {
        "issuer": tokens.claims["iss"],
        "forward": False,
        "payload_in_metadata": "claims",
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
        "local_jwks": {"inline_string": tokens.jwks()},
    }
    if cache:
        provider["jwt_cache_config"] = {"jwt_cache_size": 10_000, "jwt_max_token_size": 4096}
    rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}]
    settings = {"providers": {"main": provider}, "rules": rules}
    return _typed(_JWT, "filters.http.jwt_authn.v3.JwtAuthentication", settings)


def _scope(scope):
    path = [{"key": "claims"}, {"key": "scopes"}]
    value = {"list_match": {"one_of": {"string_match": {"exact": scope}}}}
    principal = {"metadata": {"filter": _JWT, "path": path, "value": value}}
    policy = {"permissions": [{"any": True}], "principals": [principal]}
    rules = {"action": "ALLOW", "policies": {"scope": policy}}
    return _typed("scope", "filters.http.rbac.v3.RBAC", {"rules": rules})


def _router():
    return _typed("router", "filters.http.router.v3.Router", {"suppress_envoy_headers": True})


def _cluster(port):
    no_limit = {"max_connections": 100_000, "max_requests": 100_000, "max_pending_requests": 100_000}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    return {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [no_limit]},
        "load_assignment": {"cluster_name": "upstream", "endpoints": endpoints},
    }


def _connection_limit(connections):
    kind = "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    name = "envoy.resource_monitors.global_downstream_max_connections"
    return _typed(name, kind, {"max_active_downstream_connections": connections})


def _address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _typed(name, kind, settings):
    return {"name": name, "typed_config": {"@type": _TYPES + kind, **settings}}

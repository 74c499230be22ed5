//! Wrong configurations, one mistake each.
//!
//! Guarantees: every snippet has exactly the mistake beside it, at its line and column.
//! Does not know: several mistakes at once.

use super::*;

/// Each snippet and the beginning of the one mistake in it.
const WRONG: &[(&str, &str)] = &[
    // Names and shapes.
    ("worker = 1", "config.toml:1:1: worker: unknown key (did you mean `workers`?)"),
    ("[sever]\nlisten = ''", "config.toml:1:2: sever: unknown section (did you mean `server`?)"),
    ("[server]\nissuer = ''", "config.toml:2:1: server.issuer: unknown key (did you mean `token.issuer`?)"),
    ("'server.listen' = ''", "config.toml:1:1: \"server.listen\": unknown key"),
    ("server.listen.port = 1", "config.toml:1:8: server.listen: must be text in quotes, not a section"),
    ("server = 3", "config.toml:1:1: server: is a section: write `[server]` and its keys below it"),
    (
        "[[routes]]\npath = '/a'",
        "config.toml:1:3: routes: is a section: write `[routes]` and its keys below it (did you mean `route`?)",
    ),
    ("[[server]]\nlisten = ''", "config.toml:1:3: server: is a section"),
    ("[limits]\nsignin = 1", "config.toml:2:1: limits.signin: is a section"),
    ("[profiles.oidc]\nenabled = true", "config.toml:1:11: profiles.oidc: unknown section"),
    ("server.listen = 1979-05-27", "config.toml:1:17: server.listen: must be text in quotes, not a date"),
    ("workers = '4'", "config.toml:1:11: workers: must be a number: leave out the quotes"),
    ("workers = 1.5", "config.toml:1:11: workers: must be a whole number"),
    ("workers = -1", "config.toml:1:11: workers: must not be negative"),
    ("workers = 1\nworkers = 2", "config.toml:2:1: duplicate key `workers` in document root"),
    ("data_dir = ''", "config.toml:1:12: data_dir: must not be empty"),
    (
        "[profiles.smsgate]\nenabled = 1",
        "config.toml:2:11: profiles.smsgate.enabled: must be true or false, not a number",
    ),
    // Values.
    ("cors.allowed_origins = ['https://a.example/']", "config.toml:1:25: cors.allowed_origins: must be scheme, host"),
    ("cors.allowed_origins = ['*', 'https://a.example']", "config.toml:1:24: cors.allowed_origins: \"*\" stands alone"),
    (
        "[cors]\nallowed_origins = ['*']\ncredentials = true",
        "config.toml:2:19: cors.allowed_origins: \"*\" and credentials do not go together",
    ),
    ("profiles.form.cookie_name = '__Host-a'", "config.toml:1:29: profiles.form.cookie_name: must not begin with"),
    ("routes.realm = 'a\"b'", "config.toml:1:16: routes.realm: must be printable ASCII"),
    ("server.listen = ''", "config.toml:1:17: server.listen: must not be empty"),
    ("server.listen = ':80'", "config.toml:1:17: server.listen: `:80` is not an IP address and a port"),
    ("server.trusted_proxies = '10.0.0.0/8'", "config.toml:1:26: server.trusted_proxies: must be a list"),
    (
        "server.trusted_proxies = [\n  '10.0.0.0/8',\n  '10.0.0.0/99',\n]",
        "config.toml:3:3: server.trusted_proxies: `10.0.0.0/99` is not an IP address",
    ),
    ("server.trusted_proxies = [10]", "config.toml:1:27: server.trusted_proxies: must be text in quotes"),
    ("limits.max_header_bytes = 100", "config.toml:1:27: limits.max_header_bytes: must be at least 8KiB"),
    ("limits.max_body_bytes = '1GiB'", "config.toml:1:25: limits.max_body_bytes: must be at most 16MiB"),
    ("limits.max_body_bytes = '64KB'", "config.toml:1:25: limits.max_body_bytes: `64KB` is not a size"),
    ("limits.max_h2_streams = 9999999999", "config.toml:1:25: limits.max_h2_streams: must be at most 65536"),
    ("limits.header_timeout = '0s'", "config.toml:1:25: limits.header_timeout: must be at least 1ms"),
    ("limits.basic_cache_ttl = '61s'", "config.toml:1:26: limits.basic_cache_ttl: must be at most 1m"),
    ("limits.idle_timeout = '999999d'", "config.toml:1:23: limits.idle_timeout: must be at most 87600h"),
    ("limits.max_uri_bytes = '40KiB'", "config.toml:1:24: limits.max_uri_bytes: limits.max_uri_bytes is above"),
    ("log.format = 'xml'", "config.toml:1:14: log.format: `xml` is not one of auto, json, text"),
    ("store.snapshot_interval = '10ms'", "config.toml:1:27: store.snapshot_interval: must be at least 100ms"),
    ("store.kind = 'disk'", "config.toml:1:14: store.kind: `disk` is not one of memory, replica, redis"),
    ("store.kind = 'redis'", "config.toml:1:14: store.kind: \"redis\" needs store.urls"),
    ("store.urls = ['redis://localhost']", "config.toml:1:14: store.urls: is used only with store.kind = \"redis\""),
    (
        "store.kind = 'redis'\nstore.urls = ['redis://a', 'rediss://b']",
        "config.toml:2:14: store.urls: either all or none begin with rediss://",
    ),
    ("store.kind = 'replica'", "config.toml:1:14: store.kind: \"replica\" needs store.primary_url"),
    (
        "store.primary_url = 'http://gate-0'",
        "config.toml:1:21: store.primary_url: is used only with store.kind = \"replica\"",
    ),
    (
        "store.kind = 'replica'\nstore.primary_url = 'http://localhost:8080'",
        "config.toml:2:21: store.primary_url: the primary is the gate itself",
    ),
    (
        "store.kind = 'replica'\nstore.primary_url = 'http://gate-0'\nstore.tls.ca_file = 'ca.pem'",
        "config.toml:3:21: store.tls.ca_file: is used only if store.primary_url begins with https://",
    ),
    ("store.max_stale = '1s'", "config.toml:1:19: store.max_stale: must be at least 2s"),
    ("store.poll_interval = '9ms'", "config.toml:1:23: store.poll_interval: must be at least 10ms"),
    ("routes.prefix = 'v1'", "config.toml:1:17: routes.prefix: must begin with `/`"),
    ("routes.upstream_prefix = '/a/'", "config.toml:1:26: routes.upstream_prefix: must not end with `/`"),
    // The upstream's account.
    ("upstream.url = 'http://u:p@h'", "config.toml:1:16: upstream.url: must not hold a user name or password"),
    ("upstream.url = 'http://localhost:8080'", "config.toml:1:16: upstream.url: the upstream is the gate itself"),
    ("server.listen = '127.0.0.1:3000'", "config.toml:1:17: server.listen: the upstream is the gate itself"),
    (
        "upstream.username = 'u'",
        "config.toml:1:21: upstream.username: is used only with upstream.credentials = \"basic\"",
    ),
    (
        "upstream.password = 'p'",
        "config.toml:1:21: upstream.password: is used only with upstream.credentials = \"basic\"",
    ),
    (
        "[upstream]\ncredentials = 'basic'\npassword = 'p'",
        "config.toml:2:15: upstream.credentials: \"basic\" needs upstream.username",
    ),
    (
        "[upstream]\ncredentials = 'basic'\nusername = 'u'",
        "config.toml:2:15: upstream.credentials: \"basic\" needs upstream.password or upstream.password_file",
    ),
    (
        "[upstream]\ncredentials = 'basic'\nusername = 'u'\npassword = '[secret]'",
        "config.toml:4:12: upstream.password: is `[secret]`, which stands for a secret that was not shown",
    ),
    // TLS to the upstream.
    (
        "upstream.tls.ca_file = 'ca.pem'",
        "config.toml:1:24: upstream.tls.ca_file: is used only if upstream.url begins with https://",
    ),
    (
        "upstream.url = 'https://a'\nupstream.tls.certificate = 'a.pem'",
        "config.toml:2:28: upstream.tls.certificate: needs upstream.tls.key too",
    ),
    (
        "upstream.url = 'https://a'\nupstream.tls.ca_file = 'a.pem'\nupstream.tls.insecure_accept_any_certificate = true",
        "config.toml:3:48: upstream.tls.insecure_accept_any_certificate: nobody is asked then: authorities do not count",
    ),
    (
        "upstream.host = 'https://a'",
        "config.toml:1:17: upstream.host: must be a host, with or without a port, such as `api.example.com`",
    ),
    (
        "[[route]]\npath = '/a'\naccess = 'public'\ncredentials = 'sealed'",
        "config.toml:4:15: route.0.credentials: has no meaning where nobody is asked who they are",
    ),
    ("[[route]]\npath = '/a'\nscope = 'a'\nonce = ['body:id']", "config.toml:4:9: route.0.once: `body:id` is not"),
    ("routes.basic_auth = 'warn'", "config.toml:1:21: routes.basic_auth: \"warn\" needs routes.basic_auth_since"),
    ("routes.basic_auth_since = '2026-12-01'", "config.toml:1:27: routes.basic_auth_since: is used only with"),
    (
        "[routes]\nbasic_auth = 'warn'\nbasic_auth_since = '2026-12'",
        "config.toml:3:20: routes.basic_auth_since: `2026-12` is not a day",
    ),
    (
        "[routes]\nbasic_auth = 'warn'\nbasic_auth_since = '2026-12-01'\nbasic_auth_until = '2026-11-30'",
        "config.toml:4:20: routes.basic_auth_until: is before routes.basic_auth_since",
    ),
    // Sources of users.
    ("users.check.path = 'messages'", "config.toml:1:20: users.check.path: must be a path that begins with one `/`"),
    ("users.check.accepted = ['2x']", "config.toml:1:25: users.check.accepted: `2x` is neither a status"),
    (
        "[users.check]\naccepted = ['200', '401']",
        "config.toml:2:12: users.check.accepted: has a status that means a right password too",
    ),
    ("users.check.refused = []", "config.toml:1:23: users.check.refused: must not be empty"),
    ("[[realm]]\nname = 'client'\nhost = 'a'\ncheck_path = '/'", "config.toml:2:8: realm.0.name: `client` is what"),
    ("[[realm]]\nname = 'a'\nhost = 'a'", "config.toml:1:1: realm.0: has no users: it needs users_file"),
    (
        "[[realm]]\nname = 'a'\nhost = 'a'\nprefix = '/b'\ncheck_path = '/'",
        "config.toml:1:1: realm.0: needs one of host and prefix, and not both",
    ),
    // Other issuers.
    ("issuer = 'a'", "config.toml:1:10: issuer: must be tables: write `[[issuer]]` and the keys of each below it"),
    ("[[issuer]]\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']", "config.toml:1:1: issuer.0: lacks an issuer"),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\nalgorithms=['RS256']",
        "config.toml:1:1: issuer.0: lacks an audience",
    ),
    ("[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']", "config.toml:1:1: issuer.0: lacks algorithms"),
    (
        "[[issuer]]\nissuer='https://i'\naudience=['a']\nalgorithms=['RS256']",
        "config.toml:1:1: issuer.0: needs jwks_url or jwks_file",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']\njwks_url='https://i/k'",
        "config.toml:3:11: issuer.0.jwks_file: contradicts jwks_url",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256', 'HS256']",
        "config.toml:5:22: issuer.0.algorithms: `HS256` is not one of RS256",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']\nca_file='c'",
        "config.toml:6:9: issuer.0.ca_file: is used only with a jwks_url that begins with https://",
    ),
    (
        "[[issuer]]\nissuer='i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']",
        "config.toml:2:8: issuer.0.issuer: must be a URL",
    ),
    (
        "[[issuer]]\nissuer='https://i|j'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']",
        "config.toml:2:8: issuer.0.issuer: must not contain `|`",
    ),
    (
        "token.issuer='https://i'\n[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']",
        "config.toml:3:8: issuer.0.issuer: is this gate itself",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_url='http://i/k'\naudience=['a']\nalgorithms=['RS256']",
        "config.toml:3:10: issuer.0.jwks_url: must begin with https://: http:// is taken for this machine only",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_url='https://u:p@i/k'\naudience=['a']\nalgorithms=['RS256']",
        "config.toml:3:10: issuer.0.jwks_url: must not hold a user name",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_url='file:///k'\naudience=['a']\nalgorithms=['RS256']",
        "config.toml:3:10: issuer.0.jwks_url: must begin with https://",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']\nscopes='a'",
        "config.toml:6:8: issuer.0.scopes: must be a table",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']\nscopes={a='tokens:manage'}",
        "config.toml:6:8: issuer.0.scopes: has for `a` what only this gate gives",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']\nscopes={a='b c'}",
        "config.toml:6:8: issuer.0.scopes: has for `a` what is not one scope",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']\njwks_uri='b'",
        "config.toml:6:1: issuer.0.jwks_uri: unknown key (did you mean `jwks_url`?)",
    ),
    (
        "[[issuer]]\nissuer='https://i'\njwks_file='f'\naudience=['a']\nalgorithms=['RS256']\ncooldown='50ms'",
        "config.toml:6:10: issuer.0.cooldown: must be at least 100ms",
    ),
    // Tokens.
    ("token.algorithm = 'none'", "config.toml:1:19: token.algorithm: unknown algorithm"),
    ("token.type = 'jwt'", "config.toml:1:14: token.type: `jwt` is not one of at+jwt, JWT"),
    ("token.leeway = '6m'", "config.toml:1:16: token.leeway: must be at most 5m"),
    ("token.retry_window = '301s'", "config.toml:1:22: token.retry_window: must be at most 5m"),
    ("token.access_ttl = '1500ms'", "config.toml:1:20: token.access_ttl: must be whole seconds"),
    ("token.access_ttl = '2h'", "config.toml:1:20: token.access_ttl: token.access_ttl (2h) must not be longer than"),
    (
        "token.access_ttl_max = '5m'",
        "config.toml:1:24: token.access_ttl_max: token.access_ttl (15m) must not be longer",
    ),
    ("token.session_ttl = '1h'", "config.toml:1:21: token.session_ttl: token.refresh_ttl (720h) must not be longer"),
    ("token.access_overlap = 'never'", "config.toml:1:24: token.access_overlap: `never` is neither a duration"),
    ("token.audience = ['a', '']", "config.toml:1:24: token.audience: must not be empty"),
    (
        "token.secret = 'tooshort'",
        "config.toml:1:16: token.secret: the secret is 8 bytes long, and HS256 needs at least 32",
    ),
    ("token.secret = 'my-secret'", "config.toml:1:16: token.secret: the secret is the well-known default `my-secret`"),
    ("token.secret = ''", "config.toml:1:16: token.secret: must not be empty"),
    (
        "token.secret_file = '/nonexistent/s'",
        "config.toml:1:21: token.secret_file: /nonexistent/s cannot be read: No such",
    ),
    ("token.key_file = 'k.pem'", "config.toml:1:18: token.key_file: is of no use to HS256"),
    (
        "[token]\nalgorithm = 'ES256'\nsecret = 'kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:3:10: token.secret: is of no use to ES256",
    ),
    (
        "[token]\nkey_file = 'k.pem'\nsecret = 'kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:2:12: token.key_file: contradicts token.secret",
    ),
    ("token.lifetimes = 'short'", "config.toml:1:19: token.lifetimes: `short` is not one of standard, strict"),
    (
        "token.lifetimes = 'strict'\ntoken.access_ttl = '10m'",
        "config.toml:2:20: token.access_ttl: token.access_ttl (10m) must not be longer than token.access_ttl_max (5m)",
    ),
    // Several keys. What is wrong with several of them is below.
    ("[token.keys]\nkid = 'a'", "config.toml:1:1: token.keys: must be tables: write `[[token.keys]]`"),
    ("[[token.keys]]\nalgorithm='HS256'\nstate='current'", "config.toml:1:1: token.keys.0: needs file, secret or"),
    (
        "[[token.keys]]\nstate='current'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:1:1: token.keys.0: lacks an algorithm",
    ),
    (
        "[[token.keys]]\nalgorithm='HS256'\nstate='now'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:3:7: token.keys.0.state: `now` is not one of next, current, retiring",
    ),
    (
        "[[token.keys]]\nalgorithm='HS256'\nstate='next'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:1:1: token.keys.0: needs one key with state = \"current\"",
    ),
    (
        "[[token.keys]]\nkid='a b'\nalgorithm='HS256'\nstate='current'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:2:5: token.keys.0.kid: `a b` must consist of letters, digits",
    ),
    (
        "[[token.keys]]\nkid='a\"b'\nalgorithm='HS256'\nstate='current'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:2:5: token.keys.0.kid: `a\\\"b` must consist of letters, digits",
    ),
    (
        "[[token.keys]]\nkid=''\nalgorithm='HS256'\nstate='current'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:2:5: token.keys.0.kid: must not be empty",
    ),
    (
        "[[token.keys]]\nalgorithm='ES256'\nstate='current'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:4:8: token.keys.0.secret: is of no use to ES256, which signs with a private key: give file",
    ),
    (
        "[[token.keys]]\nalgorithm='HS512'\nstate='current'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:4:8: token.keys.0.secret: the secret is 32 bytes long, and HS512 needs at least 64",
    ),
    (
        "[[token.keys]]\nalgorithm='ES256'\nstate='current'\nfile='/nonexistent/k'",
        "config.toml:4:6: token.keys.0.file: /nonexistent/k cannot be read: No such",
    ),
    (
        "[[token.keys]]\nalgorithm='ES256'\nstate='current'\nfile='Cargo.toml'",
        "config.toml:4:6: token.keys.0.file: holds no PEM private key",
    ),
    (
        "[[token.keys]]\nalgorithm='HS256'\nstate='current'\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'\nname='b'",
        "config.toml:5:1: token.keys.0.name: unknown key",
    ),
    (
        "[token]\nsecret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeV'\n[[token.keys]]\nalgorithm='HS256'\nstate='current'\n\
         secret='kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        "config.toml:2:8: token.secret: contradicts [[token.keys]]: leave one of them out",
    ),
    // Profiles and clients.
    (
        "profiles.oauth.token_path = '/login'",
        "config.toml:1:29: profiles.oauth.token_path: must not lie at or beneath another path of these profiles",
    ),
    ("profiles.oauth.issuer_url = 'gate'", "config.toml:1:29: profiles.oauth.issuer_url: must be a URL such as"),
    (
        "[profiles.oauth]\nenabled = true\naccess_ttl = '721h'",
        "config.toml:3:14: profiles.oauth.access_ttl: profiles.oauth.access_ttl (721h) must not be longer",
    ),
    ("[client]\nid = 'a'", "config.toml:1:1: client: must be tables"),
    ("[[client]]\npublic = true", "config.toml:1:1: client.0: lacks an id"),
    ("[[client]]\nid = 'a'", "config.toml:1:1: client.0: needs secret_hash, secret_hash_file, or public = true"),
    ("[[client]]\nid = 'a:b'\npublic = true", "config.toml:2:6: client.0.id: `a:b` must consist of letters"),
    ("[[client]]\nid = ''\npublic = true", "config.toml:2:6: client.0.id: must not be empty"),
    ("[[client]]\nid = 'a'\npublic = true\nname = 'b'", "config.toml:4:1: client.0.name: unknown key"),
    (
        "[[client]]\nid = 'a'\nsecret_hash = 'hush'",
        "config.toml:3:15: client.0.secret_hash: is not a password hash (a password in the clear, or DES crypt?): \
         `portcullis hash-password` makes one",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\nsecret_hash = 'hush'",
        "config.toml:4:15: client.0.secret_hash: is not a password hash",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\nsecret_hash = '$2b$04$abcdefghijklmnopqrstuuKXKEkBYqKdHLIAEyKzLDbP9rz0qqqqq'",
        "config.toml:3:10: client.0.public: a public client has no secret",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\ngrants = ['client_credentials']",
        "config.toml:4:10: client.0.grants: client_credentials needs a client with a secret",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\ngrants = ['password']",
        "config.toml:4:10: client.0.grants: password needs profiles.oauth.password_grant = true",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\ngrants = ['implicit']",
        "config.toml:4:11: client.0.grants: `implicit` is not one of password, client_credentials, refresh_token",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\nscopes = ['a b']",
        "config.toml:4:11: client.0.scopes: `a b` is not one scope",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\nscopes = ['tokens:refresh']",
        "config.toml:4:11: client.0.scopes: `tokens:refresh` belongs to refresh tokens alone",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\naccess_ttl = '721h'",
        "config.toml:4:14: client.0.access_ttl: must not be longer than refresh_ttl",
    ),
    (
        "[[client]]\nid = 'a'\npublic = true\n[[client]]\nid = 'a'\npublic = true",
        "config.toml:5:6: client.1.id: is an earlier [[client]]'s already",
    ),
    // Routes.
    ("route = 3", "config.toml:1:9: route: must be tables"),
    ("[route]\npath = '/a'", "config.toml:1:1: route: must be tables"),
    ("[[route]]\npath = '/a'\nrole = 'b'\nzz = 1", "config.toml:4:1: route.0.zz: unknown key"),
    ("[[route]]\nscope = 'a'", "config.toml:1:1: route.0: lacks a path"),
    ("[[route]]\npath = '/a'", "config.toml:1:1: route.0: needs one of scope, role and access"),
    ("[[route]]\npath = 'a'\nrole = 'b'", "config.toml:2:8: route.0.path: must begin with `/`"),
    ("[[route]]\npath = '/a'\nscope = 'b c'", "config.toml:3:9: route.0.scope: `b c` is not one scope"),
    ("[[route]]\npath = '/a'\naccess = 'none'", "config.toml:3:10: route.0.access: `none` is not one of public"),
    (
        "[[route]]\npath = '/a'\nrole = 'b'\nmethods = ['get']",
        "config.toml:4:12: route.0.methods: `get` is not a method: write `GET`",
    ),
    ("[[route]]\npath = '/a'\nrole = 'b'\nmethods = []", "config.toml:4:11: route.0.methods: must not be empty"),
    (
        "[[route]]\npath = '/a'\nrole = 'b'\nscop = 'c'",
        "config.toml:4:1: route.0.scop: unknown key (did you mean `scope`?)",
    ),
    (
        "[[route]]\npath = '/a'\naccess = 'public'\ncertificate = 'spiffe://e/f'",
        "config.toml:4:15: route.0.certificate: `spiffe://e/f` is not whom a certificate names",
    ),
    (
        "[[route]]\npath = '/a'\naccess = 'public'\ncertificate = 'DNS=*.e'",
        "config.toml:4:15: route.0.certificate: may have a `*` at its end only",
    ),
    (
        "[[route]]\npath = '/a'\naccess = 'public'\ncertificate = 'CN=a'",
        "config.toml:4:15: route.0.certificate: can never be met: tls.client_auth is off",
    ),
    ("route = [{ path = '/a', role = 'b', x = 1 }]", "config.toml:1:37: route.0.x: unknown key"),
    (
        "[[route]]\npath = '/a'\nrole = 'b'\n[[route]]\npath = '/b'\nrole = 'b'\nscope = 'c'",
        "config.toml:4:1: route.1: must have only one of scope, role and access",
    ),
    (
        "[[route]]\npath = '/a/{id}'\nrole = 'b'\n[[route]]\npath = '/A/{name}'\nrole = 'c'",
        "config.toml:5:8: route.1.path: is decided by an earlier [[route]] already",
    ),
];

#[test]
fn each_wrong_snippet_has_one_mistake_at_its_place() {
    assert!(WRONG.len() > 60, "{}", WRONG.len());
    let mut failures = Vec::new();
    for (snippet, expected) in WRONG {
        match layers(snippet, &[], &[]) {
            Err(found) if found.len() == 1 && found[0].starts_with(expected) => {}
            other => {
                failures.push(format!("{snippet}\n  expected {expected}\n  got {:#?}", other.map(|_| "no mistake")))
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn tls_needs_pairs_and_what_it_is_for() {
    mistakes(
        "[tls]\ncertificate = 'a'\nclient_crl = ['c']\n[[tls.certificates]]\nkey = 'b'\n[[tls.certificates]]\nocsp = 'x'\n",
        &[],
        &[],
        &[
            "config.toml:2:15: tls.certificate: needs its key",
            "config.toml:3:14: tls.client_crl: is used only with tls.client_auth",
            "config.toml:5:7: tls.certificates.0.key: needs its certificate",
            "config.toml:6:1: tls.certificates.1: needs a certificate and its key",
            "config.toml:7:8: tls.certificates.1.ocsp: needs a certificate",
        ],
    );
    mistakes(
        "tls.client_auth = 'required'\ntls.hsts = '1d'\n",
        &[],
        &[("tls.redirect_listen", "127.0.0.1:8080")],
        &[
            "config.toml:1:19: tls.client_auth: needs tls.client_ca: whose word for a client counts",
            "config.toml:2:12: tls.hsts: has no effect without tls.certificate and tls.key",
            "--set tls.redirect_listen: must be another address than the other listeners have",
        ],
    );
}

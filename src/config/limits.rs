//! `[limits]`: every limit and deadline towards clients, in one place.
//!
//! Guarantees: each is within a range in which the gate still works; zero is taken only where it has a stated meaning.
//! Does not know: who enforces them.

use std::num::NonZero;
use std::time::Duration;

use super::kind::TEN_YEARS;
use super::reader::Reader;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// A deadline of zero would refuse everybody.
const SHORTEST: Duration = Duration::from_millis(1);

#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Client connections open at once.
    pub max_connections: usize,
    /// Of one client address; zero is no limit.
    pub max_connections_per_address: usize,
    /// Zero is no limit.
    pub max_requests_per_connection: u32,
    /// From accepting a connection to its first byte.
    pub first_byte_timeout: Duration,
    /// For the first message of a TLS handshake to arrive and have its turn, and again for the rest of it.
    pub handshake_timeout: Duration,
    /// TLS handshakes of each worker at once.
    pub max_handshakes: usize,
    /// From a request's first byte to the end of its header.
    pub header_timeout: Duration,
    /// Between two requests of a kept-alive connection.
    pub idle_timeout: Duration,
    /// Without a byte moved on a client connection while one is due.
    pub stall_timeout: Duration,
    /// Header fields of a request.
    pub max_headers: usize,
    /// Bytes of a request's line and header together.
    pub max_header_bytes: usize,
    /// Bytes of a request's target.
    pub max_uri_bytes: usize,
    /// Bytes of a token; longer ones are refused unread.
    pub max_token_bytes: usize,
    /// Bytes of a body at the gate's own endpoints. Bodies for the upstream are streamed and not limited.
    pub max_body_bytes: usize,
    /// Streams open at once on an HTTP/2 connection.
    pub max_h2_streams: u32,
    /// Tunnels open at once.
    pub max_tunnels: usize,
    /// Without a byte in either direction of a tunnel; zero sets no limit.
    pub tunnel_idle_timeout: Duration,
    /// Frames of an HTTP/2 connection that carry no request, from one look at it to the next.
    pub max_h2_idle_frames: u32,
    /// Bytes of bodies on their way through one HTTP/2 connection, for each direction.
    pub max_buffered_bytes: usize,
    /// Sessions alive at once.
    pub max_sessions: usize,
    /// Ended sessions that are remembered, beside as many as may live.
    pub max_tombstones: usize,
    /// Sessions of one user alive at once.
    pub max_sessions_per_user: usize,
    /// Verified tokens remembered by each worker; 0 remembers none.
    pub token_cache_entries: usize,
    /// Passwords checked at once, at least one.
    pub password_parallel: NonZero<usize>,
    /// Password checks that may wait for their turn.
    pub password_queue: usize,
    /// How long a successful Basic sign-in on API routes is remembered; zero remembers none.
    pub basic_cache_ttl: Duration,
    /// Basic sign-ins remembered at once.
    pub basic_cache_entries: usize,
    /// How long a repetition is known (`once` of a route).
    pub once_window: Duration,
    /// Requests remembered for that at once.
    pub once_entries: usize,
    /// Unused upstream connections kept by each worker; 0 keeps none.
    pub upstream_idle_connections: usize,
    /// Connections of each worker to an upstream that speaks HTTP/2.
    pub upstream_h2_connections: usize,
    /// Bytes of another issuer's set of keys.
    pub max_jwks_bytes: usize,
    /// Keys in it.
    pub max_jwks_keys: usize,
    /// For fetching it, from looking up the name to the last byte.
    pub jwks_timeout: Duration,
    pub signin: SignInLimits,
}

/// `[limits.signin]`: how often a password may be guessed.
#[derive(Clone, Debug, PartialEq)]
pub struct SignInLimits {
    /// Failures of one client address in a row.
    pub address_burst: u32,
    /// Until a client address is granted one more failure.
    pub address_refill: Duration,
    /// Failures for one user name in a row.
    pub user_burst: u32,
    /// Until a user name is granted one more failure.
    pub user_refill: Duration,
    /// Addresses and user names remembered at once.
    pub max_tracked: usize,
}

impl Limits {
    pub(super) fn read(r: &mut Reader, workers: NonZero<usize>) -> Self {
        let seconds = Duration::from_secs;
        let deadline = SHORTEST..=TEN_YEARS;
        let limits = Self {
            max_connections: r.number("limits.max_connections", 10_000, 1..=10_000_000),
            max_connections_per_address: r.number("limits.max_connections_per_address", 0, 0..=10_000_000),
            max_requests_per_connection: r.number("limits.max_requests_per_connection", 0, 0..=u32::MAX),
            first_byte_timeout: r.duration("limits.first_byte_timeout", seconds(10), deadline.clone()),
            handshake_timeout: r.duration("limits.handshake_timeout", seconds(10), deadline.clone()),
            max_handshakes: r.number("limits.max_handshakes", 512, 1..=1_000_000),
            header_timeout: r.duration("limits.header_timeout", seconds(10), deadline.clone()),
            idle_timeout: r.duration("limits.idle_timeout", seconds(75), deadline.clone()),
            stall_timeout: r.duration("limits.stall_timeout", seconds(60), deadline),
            max_headers: r.number("limits.max_headers", 100, 1..=4096),
            // hyper refuses to work with a smaller buffer.
            max_header_bytes: r.size("limits.max_header_bytes", 32 * KIB, 8 * KIB..=MIB),
            // `http::Uri` ends at 65534 bytes.
            max_uri_bytes: r.size("limits.max_uri_bytes", 8 * KIB, 256..=64 * KIB - 2),
            max_token_bytes: r.size("limits.max_token_bytes", 8 * KIB, 512..=64 * KIB),
            max_body_bytes: r.size("limits.max_body_bytes", 64 * KIB, KIB..=16 * MIB),
            max_h2_streams: r.number("limits.max_h2_streams", 128, 1..=65_536),
            max_tunnels: r.number("limits.max_tunnels", 10_000, 0..=10_000_000),
            tunnel_idle_timeout: r.duration(
                "limits.tunnel_idle_timeout",
                Duration::from_mins(10),
                Duration::ZERO..=TEN_YEARS,
            ),
            max_h2_idle_frames: r.number("limits.max_h2_idle_frames", 1000, 100..=1_000_000),
            // A window is never smaller than HTTP/2 begins with.
            max_buffered_bytes: r.size("limits.max_buffered_bytes", MIB, 64 * KIB..=256 * MIB),
            max_sessions: r.number("limits.max_sessions", 1_000_000, 1..=100_000_000),
            max_tombstones: r.number("limits.max_tombstones", 1_000_000, 1..=100_000_000),
            max_sessions_per_user: r.number("limits.max_sessions_per_user", 100, 1..=1_000_000),
            token_cache_entries: r.number("limits.token_cache_entries", 4096, 0..=1 << 20),
            password_parallel: NonZero::new(r.number("limits.password_parallel", 0, 0..=1024)).unwrap_or(workers),
            password_queue: r.number("limits.password_queue", 64, 0..=65_536),
            // Longer, and a changed password would go on working for longer than anyone expects.
            basic_cache_ttl: r.duration("limits.basic_cache_ttl", seconds(60), Duration::ZERO..=seconds(60)),
            basic_cache_entries: r.number("limits.basic_cache_entries", 1024, 1..=1 << 20),
            once_window: r.duration(
                "limits.once_window",
                Duration::from_mins(10),
                seconds(1)..=Duration::from_hours(24),
            ),
            once_entries: r.number("limits.once_entries", 65_536, 1..=10_000_000),
            upstream_idle_connections: r.number("limits.upstream_idle_connections", 256, 0..=65_536),
            upstream_h2_connections: r.number("limits.upstream_h2_connections", 256, 1..=65_536),
            max_jwks_bytes: r.size("limits.max_jwks_bytes", 256 * KIB, KIB..=16 * MIB),
            max_jwks_keys: r.number("limits.max_jwks_keys", 100, 1..=10_000),
            jwks_timeout: r.duration("limits.jwks_timeout", seconds(10), SHORTEST..=Duration::from_mins(5)),
            signin: SignInLimits::read(r),
        };
        for (key, bytes) in
            [("limits.max_uri_bytes", limits.max_uri_bytes), ("limits.max_token_bytes", limits.max_token_bytes)]
        {
            let keys = [key, "limits.max_header_bytes"];
            r.contradiction_if(bytes > limits.max_header_bytes, &keys, format!("{key} is above max_header_bytes"));
        }
        limits
    }
}

impl SignInLimits {
    fn read(r: &mut Reader) -> Self {
        let seconds = Duration::from_secs;
        let refill = SHORTEST..=Duration::from_hours(24);
        Self {
            address_burst: r.number("limits.signin.address_burst", 50, 1..=1_000_000),
            address_refill: r.duration("limits.signin.address_refill", seconds(3), refill.clone()),
            user_burst: r.number("limits.signin.user_burst", 20, 1..=1_000_000),
            user_refill: r.duration("limits.signin.user_refill", seconds(10), refill),
            max_tracked: r.number("limits.signin.max_tracked", 65_536, 1024..=16_777_216),
        }
    }
}

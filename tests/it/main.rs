//! The gate as its users meet it: the real binary, real sockets, no sleeps, no fixed ports, nothing shared.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by ending")]

mod support;

mod admin;
mod audit_paths;
mod clients;
mod crash;
#[cfg(target_os = "linux")]
mod disk;
mod edge;
mod explain;
#[cfg(target_os = "linux")]
mod faults;
mod form;
mod grpc;
mod headers;
mod health;
mod hostile;
mod input;
mod issuers;
mod keys;
mod kubernetes;
mod legacy;
mod metrics;
mod oauth;
mod operator;
mod packaging;
mod paths;
mod redis;
mod reload;
mod replica;
mod restart;
mod seeds;
mod sessions;
mod skew;
mod smoke;
mod start;
mod store;
mod streams;
#[cfg(target_os = "linux")]
mod supervised;
mod tls;
mod tokens;
mod tracing;
mod upstream;
mod users;

//! What is read of a request. See [`crate::fuzzing`].
#![expect(clippy::expect_used, reason = "what cannot be is a finding")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue};
use http::{Method, Uri};

use super::judge::Presented;
use super::{Demand, Routes, Rule, endpoint, path, smsgate_rules};

pub fn path(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(canonical) = path::canonical(text) else { return };
    assert!(canonical.starts_with('/'), "{canonical}");
    assert_eq!(path::canonical(&canonical).as_deref(), Ok(&*canonical), "canonical is what does not change");
    assert!(!canonical.split('/').any(|segment| segment == "." || segment == ".."), "{canonical}");
    for wrong in ["//", "\\", "%2f", "%2F", "%5c", "%5C", "%00", "%2e", "%2E", "\0"] {
        assert!(!canonical.contains(wrong), "{wrong} in {canonical}");
    }
    let uri: Uri = canonical.parse().expect("what is forwarded is a request target");
    assert_eq!((uri.path(), uri.query()), (&*canonical, None));
}

/// A path, and behind a line break one as an upstream that ignores case and slashes at the end would read it.
pub fn rules(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(path) = path::canonical(text) else { return };
    let routes = Routes::new(smsgate_rules("/3rdparty/v1", false), Demand::Unmatched);
    let shut = Routes::new([Rule::any_method("/*", Demand::Nobody)], Demand::Nobody);
    for method in [Method::GET, Method::POST, Method::DELETE] {
        assert_eq!(*shut.demand(&method, &path), Demand::Nobody, "nothing escapes a rule for all");
        let demand = routes.demand(&method, &path);
        let loosely = [path.to_ascii_uppercase(), path.to_ascii_lowercase(), format!("{path}/")];
        for other in loosely.iter().filter_map(|other| path::canonical(other).ok()) {
            if let Demand::Scope(_) | Demand::Nobody = demand {
                assert_eq!(routes.demand(&method, &other), demand, "{path} as {other}");
            }
        }
    }
}

pub fn authorization(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(AUTHORIZATION, value);
        }
    }
    let several = headers.get_all(AUTHORIZATION).iter().count() > 1;
    match Presented::read(&headers) {
        Ok(_) if several => panic!("one of several was chosen"),
        Ok(Presented::Bearer(token)) => assert_eq!(token.trim_ascii(), token),
        Ok(Presented::Basic(credentials)) => {
            assert!(!credentials.name.is_empty() && !credentials.name.contains([':', '\n', '\0']));
            let text = format!("{}:{}", credentials.name, credentials.password.as_str());
            let again = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(text))).expect("it was one");
            headers.insert(AUTHORIZATION, again);
            let Ok(Presented::Basic(read)) = Presented::read(&headers) else { panic!("it is read once more") };
            assert_eq!((read.name, read.password.as_str()), (credentials.name, credentials.password.as_str()));
        }
        Err(_) => {}
    }
}

pub fn cookie(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(COOKIE, value);
        }
    }
    endpoint::try_cookie(&headers);
}

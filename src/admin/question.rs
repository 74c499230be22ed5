//! What would become of a request, asked of the gate that runs.
//!
//! Guarantees: nothing is forwarded or changed, and no password is tried: a guess here would count as nobody's.
//! Does not know: who may ask.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde::Deserialize;

use crate::gateway::{Charter, Question, explain};

use super::answer::{Answer, as_json, said};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

pub(super) async fn answer(charter: &Arc<Charter>, body: &[u8]) -> Answer {
    let Some(question) = serde_json::from_slice(body).ok().and_then(read) else {
        let shape =
            r#"the body must be {"method": "GET", "target": "/path?query", "headers": [["Authorization", "..."]]}"#;
        return said(StatusCode::BAD_REQUEST, "bad_request", shape);
    };
    let basic =
        |value: &HeaderValue| value.as_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"));
    if question.headers.get_all(AUTHORIZATION).iter().any(basic) {
        return said(StatusCode::BAD_REQUEST, "bad_request", "passwords are not tried out on a running gate");
    }
    as_json(StatusCode::OK, &explain(charter, question).await)
}

fn read(asked: Asked) -> Option<Question> {
    let mut headers = HeaderMap::new();
    for (name, value) in &asked.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    let method = asked.method.as_deref().map_or(Some(Method::GET), |method| method.parse().ok())?;
    let target = match asked.target {
        Some(target) => Some(target.parse::<Uri>().ok()?),
        None => None,
    };
    Some(Question { method, target, headers })
}

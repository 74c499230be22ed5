//! Whether a variant of a path is forwarded for less than the path itself.
//!
//! Guarantees: whoever may pass with the variant might not pass with the path, or else nothing is said.
//! Does not know: whether the upstream takes one for the other.

use http::Method;

use crate::gateway::{Demand, Foresight};

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// A method for which a variant is easier to come by, or for others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Looser {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) variant: String,
}

/// The first method with which the canonical `variant` gets through for something else than the canonical `path`.
pub(super) fn looser(foresight: &Foresight, path: &str, variant: &str) -> Option<Looser> {
    METHODS.into_iter().find_map(|method| {
        let (ours, theirs) = (foresight.demand(&method, path), foresight.demand(&method, variant));
        let (path, variant) = (ours.to_string(), theirs.to_string());
        (!covers(theirs, ours)).then_some(Looser { method, path, variant })
    })
}

/// Whether whoever meets `met` also meets `wanted`.
fn covers(met: &Demand, wanted: &Demand) -> bool {
    match (met, wanted) {
        (Demand::Certified(theirs, met), Demand::Certified(ours, wanted)) => theirs == ours && covers(met, wanted),
        (Demand::Certified(_, met), wanted) => covers(met, wanted),
        (Demand::Nobody | Demand::Unmatched, _) | (_, Demand::Public | Demand::Passthrough) => true,
        (Demand::Scope(_) | Demand::Role(_), Demand::Authenticated) => true,
        (met, wanted) => met == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Certified;

    #[test]
    fn less_or_other_is_looser_and_as_much_or_more_is_not() {
        let scope = |name: &str| Demand::Scope(name.into());
        let certified = |pattern: &str, demand| Demand::Certified(Certified::new(pattern), Box::new(demand));
        let role = Demand::Role("admin".into());
        use Demand::{Authenticated, Nobody, Passthrough, Public, Unmatched};
        for (variant, path, fine) in [
            (Public, Public, true),
            (Passthrough, Public, true),
            (Public, Authenticated, false),
            (Passthrough, Nobody, false),
            (Authenticated, Public, true),
            (Authenticated, Authenticated, true),
            (Authenticated, scope("a"), false),
            (Authenticated, Unmatched, false),
            (scope("a"), Authenticated, true),
            (scope("a"), scope("a"), true),
            (scope("a"), scope("b"), false),
            (scope("a"), role.clone(), false),
            (role, Authenticated, true),
            (Nobody, Public, true),
            (Unmatched, scope("a"), true),
            (Unmatched, Nobody, true),
            (certified("CN=a", Public), Public, true),
            (certified("CN=a", scope("a")), scope("a"), true),
            (certified("CN=a", Public), scope("a"), false),
            (scope("a"), certified("CN=a", scope("a")), false),
            (certified("CN=a", scope("a")), certified("CN=a", Authenticated), true),
            (certified("CN=a", Public), certified("CN=b", Public), false),
            (Nobody, certified("CN=a", Public), true),
        ] {
            assert_eq!(covers(&variant, &path), fine, "{variant:?} for {path:?}");
        }
    }
}

//! Which rule decides.
//!
//! Guarantees: the tree is held against a plain search through all rules, and the preset against every variant of its
//! paths.
//! Does not know: how a path became canonical.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::preset;
use super::*;

fn scope(name: &str) -> Demand {
    Demand::Scope(name.into())
}

fn routes(rules: &[(&str, &str, Demand)]) -> Routes {
    let rules = rules.iter().map(|(methods, path, demand)| Rule {
        path: (*path).into(),
        methods: methods.split_whitespace().map(|method| method.parse().unwrap()).collect(),
        demand: demand.clone(),
        handling: Handling::default(),
    });
    Routes::new(rules, Demand::Unmatched)
}

#[track_caller]
fn check(routes: &Routes, request: &str, expected: &Demand) {
    let (method, path) = request.split_once(' ').unwrap();
    assert_eq!(routes.demand(&method.parse().unwrap(), path), expected, "{request}");
}

#[test]
fn a_rule_that_demands_a_certificate_alone_is_dodged_by_no_variant() {
    let certified = Demand::Certified(Certified::new("CN=a"), Box::new(Demand::Public));
    let routes = routes(&[("", "/internal/*", certified.clone()), ("", "/*", Demand::Public)]);
    for path in ["/internal/a", "/INTERNAL/a", "/internal/a/", "/internal", "/internal/"] {
        check(&routes, &format!("GET {path}"), &certified);
    }
    check(&routes, "GET /internals", &Demand::Public);
    let scoped = Demand::Certified(Certified::new("CN=a"), Box::new(scope("b")));
    assert_eq!(self::routes(&[("", "/a", scoped)]).scopes(), [Arc::<str>::from("b")]);
}

#[test]
fn the_most_specific_rule_decides_in_whatever_order_they_stand() {
    let mut rules = vec![
        ("", "/*", scope("any")),
        ("", "/api/*", scope("api")),
        ("", "/api/{kind}", scope("kind")),
        ("", "/api/items", scope("items")),
        ("", "/api/items/*", scope("below items")),
        ("", "/api/{kind}/price", scope("price of kind")),
        ("", "/api/items/{id}", scope("item")),
        ("", "/api/items/{id}/price", scope("price")),
        ("", "/api/items/new", scope("new")),
    ];
    for _ in 0..rules.len() {
        rules.rotate_left(1);
        let routes = routes(&rules);
        check(&routes, "GET /", &scope("any"));
        check(&routes, "GET /apis", &scope("any"));
        check(&routes, "GET /api", &scope("api"));
        check(&routes, "GET /api/things", &scope("kind"));
        check(&routes, "GET /api/things/price", &scope("price of kind"));
        check(&routes, "GET /api/things/7", &scope("api"));
        check(&routes, "GET /api/items", &scope("items"));
        check(&routes, "GET /api/items/7", &scope("item"));
        check(&routes, "GET /api/items/new", &scope("new"));
        check(&routes, "GET /api/items/7/price", &scope("price"));
        check(&routes, "GET /api/items/new/price", &scope("price"));
        check(&routes, "GET /api/items/price", &scope("item"));
        check(&routes, "GET /api/items/7/parts/8", &scope("below items"));
    }
}

#[test]
fn a_parameter_is_one_segment_and_a_star_any_remainder() {
    let routes = routes(&[("", "/a/{id}/b", scope("b")), ("", "/s/*", scope("s"))]);
    for path in ["/a/1/b", "/a/{id}/b", "/a/b/b", "/a/%20/b"] {
        check(&routes, &format!("GET {path}"), &scope("b"));
    }
    for path in ["/a/b", "/a/1/2/b", "/a/1", "/a/1/b/c", "/b"] {
        check(&routes, &format!("GET {path}"), &Demand::Unmatched);
    }
    for path in ["/s", "/s/", "/s/1", "/s/1/2/3", "/s/1/2/3/"] {
        check(&routes, &format!("GET {path}"), &scope("s"));
    }
    check(&routes, "GET /st", &Demand::Unmatched);
}

#[test]
fn a_rule_that_demands_something_is_met_by_every_variant() {
    for demand in [scope("a"), Demand::Role("a".into()), Demand::Authenticated, Demand::Nobody] {
        let routes = routes(&[("", "/Api/items", demand.clone()), ("", "/Api/files/*", demand.clone())]);
        for path in ["/Api/items", "/api/items", "/API/ITEMS", "/Api/items/", "/aPI/Items/"] {
            check(&routes, &format!("GET {path}"), &demand);
        }
        for path in ["/Api/files", "/api/FILES", "/api/files/", "/API/files/x/Y/"] {
            check(&routes, &format!("GET {path}"), &demand);
        }
    }
}

#[test]
fn a_rule_that_demands_nothing_is_met_by_its_own_spelling_only() {
    for demand in [Demand::Public, Demand::Passthrough] {
        let routes = routes(&[
            ("", "/health", demand.clone()),
            ("", "/Files/{id}/raw", demand.clone()),
            ("", "/static/*", demand.clone()),
        ]);
        for path in ["/health", "/Files/X/raw", "/Files/x/raw", "/static/a", "/static/A/b/", "/static/"] {
            check(&routes, &format!("GET {path}"), &demand);
        }
        for path in [
            "/health/",
            "/Health",
            "/HEALTH/",
            "/healt",
            "/files/X/raw",
            "/Files/X/Raw",
            "/Files/X/raw/",
            "/static",
            "/Static/a",
            "/STATIC/",
        ] {
            check(&routes, &format!("GET {path}"), &Demand::Unmatched);
        }
    }
}

#[test]
fn a_variant_of_an_open_path_meets_the_rule_around_it() {
    let routes = routes(&[
        ("", "/api/health", Demand::Public),
        ("", "/api/open/*", Demand::Passthrough),
        ("", "/api/*", scope("api")),
    ]);
    check(&routes, "GET /api/health", &Demand::Public);
    check(&routes, "GET /api/open/x", &Demand::Passthrough);
    for path in ["/api/Health", "/api/health/", "/API/health", "/api/Open/x", "/api/open", "/api/health/x"] {
        check(&routes, &format!("GET {path}"), &scope("api"));
    }
}

#[test]
fn the_root_is_a_path_like_any_other() {
    for demand in [Demand::Public, Demand::Passthrough, scope("a")] {
        check(&routes(&[("", "/", demand.clone())]), "GET /", &demand);
        check(&routes(&[("", "/", demand.clone())]), "GET /a", &Demand::Unmatched);
        for path in ["/", "/a", "/a/", "/a/b"] {
            check(&routes(&[("", "/*", demand.clone())]), &format!("GET {path}"), &demand);
        }
        check(&routes(&[("", "/{a}", demand)]), "GET /", &Demand::Unmatched);
    }
}

#[test]
fn spellings_of_one_path_share_their_rules() {
    let routes = routes(&[
        ("", "/Api/*", Demand::Authenticated),
        ("", "/api/items", scope("items")),
        ("", "/API/{id}/open", Demand::Public),
    ]);
    for path in ["/api/items", "/Api/items", "/API/ITEMS/", "/aPi/items"] {
        check(&routes, &format!("GET {path}"), &scope("items"));
    }
    check(&routes, "GET /API/x/open", &Demand::Public);
    check(&routes, "GET /api/x/open", &Demand::Authenticated);
}

#[test]
fn each_of_many_siblings_is_found_in_any_case_and_nothing_beside_them() {
    // With characters that stand between the two cases of letters.
    let names =
        ["a", "b", "ab", "ba", "a_", "_a", "a-b", "aB~", "bcd", "abc", "Abd", "z", "zz", "items", "Items2", "ITEM"];
    let scopes: Vec<_> = (0..200).map(|number| format!("resource-{number}")).chain(names.map(Into::into)).collect();
    let mut rules: Vec<_> = scopes.iter().map(|name| Rule::any_method(format!("/x/{name}"), scope(name))).collect();
    for _ in 0..3 {
        rules.rotate_left(71);
        let routes = Routes::new(rules.clone(), Demand::Unmatched);
        for name in &scopes {
            for spelled in [name.clone(), name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
                check(&routes, &format!("GET /x/{spelled}"), &scope(name));
            }
        }
        for other in ["A@", "a?", "c", "az", "resource-200", "resource_1", "item%73", "x", "_b", "\u{e9}"] {
            check(&routes, &format!("GET /x/{other}"), &Demand::Unmatched);
        }
    }
}

#[test]
fn get_covers_head_and_nothing_covers_another_method() {
    let routes =
        routes(&[("GET", "/a", scope("get")), ("POST PUT", "/a", scope("change")), ("HEAD", "/b", scope("head"))]);
    for (request, expected) in
        [("GET /a", "get"), ("HEAD /a", "get"), ("POST /a", "change"), ("PUT /a", "change"), ("HEAD /b", "head")]
    {
        check(&routes, request, &scope(expected));
    }
    for request in ["DELETE /a", "OPTIONS /a", "get /a", "PROPFIND /a", "GET /b"] {
        check(&routes, request, &Demand::Unmatched);
    }
}

#[test]
fn where_a_more_specific_rule_is_for_other_methods_the_next_one_decides() {
    let routes =
        routes(&[("POST", "/a/b", scope("post")), ("GET", "/a/{x}", scope("get")), ("", "/a/*", scope("any"))]);
    check(&routes, "POST /a/b", &scope("post"));
    check(&routes, "GET /a/b", &scope("get"));
    check(&routes, "DELETE /a/b", &scope("any"));
}

#[test]
fn among_equals_the_earlier_rule_decides() {
    let own = Rule::any_method("/3rdparty/v1/messages", Demand::Role("admin".into()));
    let param = Rule::new(Method::GET, "/3rdparty/v1/messages/{other_name}", scope("own"));
    let rules = [own, param].into_iter().chain(preset::smsgate("/3rdparty/v1", true));
    let routes = Routes::new(rules, Demand::Unmatched);
    check(&routes, "GET /3rdparty/v1/messages", &Demand::Role("admin".into()));
    check(&routes, "POST /3rdparty/v1/Messages/", &Demand::Role("admin".into()));
    check(&routes, "GET /3rdparty/v1/messages/7", &scope("own"));
    check(&routes, "DELETE /3rdparty/v1/messages/7", &scope("messages:cancel"));
}

#[test]
fn what_no_rule_knows_meets_what_is_said_of_it() {
    for unmatched in [Demand::Unmatched, Demand::Authenticated] {
        let routes = Routes::new([Rule::new(Method::GET, "/a", Demand::Public)], unmatched.clone());
        for request in ["GET /b", "GET /", "POST /a", "GET /a/b", "GET /A"] {
            check(&routes, request, &unmatched);
        }
    }
    check(&routes(&[]), "GET /", &Demand::Unmatched);
}

#[test]
fn scopes_are_collected_from_everywhere_once() {
    let routes = routes(&[
        ("GET", "/a", scope("b:x")),
        ("POST", "/a", scope("a:x")),
        ("", "/{p}/c/*", scope("c:x")),
        ("", "/*", scope("a:x")),
        ("", "/d", Demand::Role("d".into())),
    ]);
    let scopes: Vec<_> = routes.scopes().iter().map(ToString::to_string).collect();
    assert_eq!(scopes, ["a:x", "b:x", "c:x"]);
}

/// How well `rule` fits, the less the better; `None` if not at all. Segment by segment, and nothing else.
fn fit(rule: &Rule, path: &str) -> Option<Vec<u8>> {
    let slash = path.ends_with('/');
    let segments = |path: &str| path.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (ours, theirs) = (segments(&rule.path), segments(path));
    let mut exact = !slash || path == "/";
    let mut kinds = Vec::new();
    for (at, own) in ours.iter().enumerate() {
        if own == "*" {
            // What follows is the remainder, if only a slash.
            exact = at < theirs.len() || slash;
            kinds.push(2);
            break;
        }
        let their = theirs.get(at)?;
        if own.starts_with('{') {
            kinds.push(1);
        } else if own.eq_ignore_ascii_case(their) {
            kinds.push(0);
        } else {
            return None;
        }
    }
    if kinds.last() != Some(&2) && theirs.len() > ours.len() {
        return None;
    }
    let spelled = ours.iter().zip(&theirs).all(|(own, their)| own == their || own == "*" || own.starts_with('{'));
    let open = matches!(rule.demand, Demand::Public | Demand::Passthrough);
    (!open || (exact && spelled)).then_some(kinds)
}

fn plain_search<'r>(rules: &'r [Rule], method: &Method, path: &str) -> &'r Demand {
    let covers = |rule: &Rule| {
        let named = |method| rule.methods.contains(method);
        rule.methods.is_empty() || named(method) || (method == Method::HEAD && named(&Method::GET))
    };
    let fitting = rules.iter().filter(|rule| covers(rule)).filter_map(|rule| Some((fit(rule, path)?, rule)));
    fitting.min_by(|a, b| a.0.cmp(&b.0)).map_or(&Demand::Unmatched, |(_, rule)| &rule.demand)
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let segments = vec(select(vec!["a", "A", "b", "{x}"]), 0..4);
    let methods = select(vec![vec![], vec![Method::GET], vec![Method::POST], vec![Method::HEAD, Method::POST]]);
    let demands =
        vec![Demand::Public, Demand::Passthrough, Demand::Authenticated, scope("s"), scope("t"), Demand::Nobody];
    (segments, any::<bool>(), methods, select(demands)).prop_map(|(mut segments, star, methods, demand)| {
        if star {
            segments.push("*");
        }
        Rule { path: format!("/{}", segments.join("/")), methods, demand, handling: Handling::default() }
    })
}

fn any_path() -> impl Strategy<Value = String> {
    (vec(select(vec!["a", "A", "b", "B", "c"]), 0..5), any::<bool>()).prop_map(|(segments, slash)| {
        format!("/{}{}", segments.join("/"), if slash && !segments.is_empty() { "/" } else { "" })
    })
}

fn any_method() -> impl Strategy<Value = Method> {
    select(vec![Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
}

/// The letters of `path` in the case that the bits say, and perhaps a slash at its end.
fn variant(path: &str, flips: u64, slash: bool) -> String {
    let flip = |(at, c): (usize, char)| match flips >> (at % 64) & 1 {
        1 if c.is_ascii_lowercase() => c.to_ascii_uppercase(),
        1 => c.to_ascii_lowercase(),
        _ => c,
    };
    let slash = if slash && !path.ends_with('/') { "/" } else { "" };
    path.chars().enumerate().map(flip).collect::<String>() + slash
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_finds_what_a_search_through_all_rules_finds(
        rules in vec(any_rule(), 0..8),
        path in any_path(),
        method in any_method(),
    ) {
        let routes = Routes::new(rules.clone(), Demand::Unmatched);
        prop_assert_eq!(routes.demand(&method, &path), plain_search(&rules, &method, &path));
    }

    #[test]
    fn no_variant_of_a_path_of_the_preset_dodges_its_demand(
        registration in any::<bool>(),
        prefix in select(vec!["", "/3rdparty/v1", "/api/3rdparty/v1", "/x"]),
        picked in 0..1000_usize,
        filling in "[A-Za-z0-9_~-]{1,6}",
        method in any_method(),
        own_method in any::<bool>(),
        flips in any::<u64>(),
        slash in any::<bool>(),
    ) {
        let rules = preset::smsgate(prefix, registration);
        let rule = &rules[picked % rules.len()];
        let method = rule.methods.first().filter(|_| own_method).unwrap_or(&method);
        let fill = |segment: &str| if segment == "*" || segment.starts_with('{') { filling.clone() } else { segment.into() };
        let path = rule.path.split('/').map(fill).collect::<Vec<String>>().join("/");
        let routes = Routes::new(rules.clone(), Demand::Unmatched);
        let (demand, other) = (routes.demand(method, &path), variant(&path, flips, slash));
        let of_variant = routes.demand(method, &other);
        match demand {
            // Where nothing is demanded, a variant may meet more, and never something else that is open.
            Demand::Public | Demand::Passthrough => {
                let in_remainder = |start: &str| path.starts_with(start) && other.starts_with(start);
                let remainder = rules.iter().filter_map(|rule| rule.path.strip_suffix('*')).any(in_remainder);
                prop_assert!(other == path || remainder || of_variant.asks_something(), "{} {}", method, other);
            }
            Demand::Unmatched => {}
            _ => prop_assert_eq!(of_variant, demand, "{} {} for {}", method, other, path),
        }
    }
}

#[test]
fn requests_are_counted_by_the_rule_that_decides() {
    let routes = routes(&[("GET POST", "/a/{id}", scope("a")), ("", "/*", scope("any"))]);
    let number = |method: Method, path| routes.find(&method, path).2;
    assert_eq!(number(Method::GET, "/a/1"), number(Method::POST, "/a/2"));
    assert_ne!(number(Method::GET, "/a/1"), number(Method::PUT, "/a/1"));
    let mut names = routes.names().clone();
    assert_eq!(number(Method::GET, "/a/1"), names.number("GET,POST /a/{id}"));
    assert_eq!(number(Method::PUT, "/a/1"), names.number("/*"));
}

#[test]
fn what_no_rule_speaks_of_is_counted_as_that() {
    let routes = routes(&[("GET", "/a", scope("a"))]);
    let (demand, _, number) = routes.find(&Method::GET, "/b");
    assert_eq!((demand, number), (&Demand::Unmatched, RuleNumber::UNMATCHED));
}

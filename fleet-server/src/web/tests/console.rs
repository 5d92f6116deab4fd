use super::rig::{Answer, Rig, Shape};
use crate::web::Console;
use crate::web::console::ConsoleFile;

static FILES: [ConsoleFile; 3] = [
    ConsoleFile {
        path: "/",
        content_type: "text/html; charset=utf-8",
        tag: "00",
        plain: Some(b"page"),
        br: b"br of page",
        gzip: b"gzip of page",
    },
    ConsoleFile {
        path: "/assets/app-1.js",
        content_type: "text/javascript; charset=utf-8",
        tag: "01",
        plain: None,
        br: b"br of app",
        gzip: b"gzip of app",
    },
    ConsoleFile {
        path: "/favicon.svg",
        content_type: "image/svg+xml",
        tag: "02",
        plain: None,
        br: b"br of icon",
        gzip: b"gzip of icon",
    },
];

/// What browsers send.
const BROWSER: &str = "gzip, deflate, br, zstd";

fn with_console() -> Rig {
    Rig::of(Shape { console: Console::of(&FILES), ..Shape::default() })
}

/// What somebody without the token is given who takes these codings.
fn taking(rig: &Rig, target: &str, codings: &str) -> Answer {
    rig.get_with(target, &[("accept-encoding", codings)])
}

#[test]
fn without_the_token_a_browser_is_given_the_console_in_the_coding_that_it_likes_best() {
    let rig = with_console();
    let cases = [
        ("/", BROWSER, "br of page", Some("br")),
        ("/", "gzip", "gzip of page", Some("gzip")),
        ("/", "br;q=0.5, gzip", "gzip of page", Some("gzip")),
        ("/", "identity", "page", None),
        ("/", "deflate", "page", None),
        ("/", "gzip;q=0.5, identity", "page", None),
        ("/assets/app-1.js", BROWSER, "br of app", Some("br")),
        ("/assets/app-1.js", "*", "br of app", Some("br")),
        ("/assets/app-1.js", "br, *;q=0", "br of app", Some("br")),
        ("/assets/app-1.js", "gzip;q=0.1, identity", "gzip of app", Some("gzip")),
        ("/favicon.svg", "x-gzip", "gzip of icon", Some("gzip")),
    ];
    for (target, codings, text, coding) in cases {
        let answer = taking(&rig, target, codings);
        assert_eq!((answer.status, answer.text.as_str()), (200, text), "{target} {codings}");
        assert_eq!(answer.header("content-encoding"), coding, "{target} {codings}");
        assert_eq!(answer.header("content-length"), Some(text.len().to_string().as_str()));
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
    }
}

#[test]
fn a_client_that_says_nothing_of_codings_gets_the_page_plain_and_the_rest_with_gzip() {
    let rig = with_console();
    let host = format!("Host: {}", rig.address);
    let page = rig.raw(&format!("GET / HTTP/1.1\r\n{host}"));
    assert_eq!((page.text.as_str(), page.header("content-encoding")), ("page", None));
    let app = rig.raw(&format!("GET /assets/app-1.js HTTP/1.1\r\n{host}"));
    assert_eq!((app.text.as_str(), app.header("content-encoding")), ("gzip of app", Some("gzip")));
}

#[test]
fn a_client_that_takes_no_coding_that_there_is_is_told() {
    let rig = with_console();
    for codings in ["identity", "deflate", "*;q=0", "br;q=0, gzip;q=0"] {
        let problem = taking(&rig, "/assets/app-1.js", codings).problem(406, "not-acceptable");
        assert!(problem["detail"].as_str().unwrap().contains("take br or gzip"));
    }
    taking(&rig, "/", "identity;q=0").problem(406, "not-acceptable");
}

#[test]
fn the_page_is_asked_for_each_time_and_its_parts_once_for_all() {
    let rig = with_console();
    for (target, kept) in [
        ("/", "no-cache"),
        ("/favicon.svg", "no-cache"),
        ("/assets/app-1.js", "public, max-age=31536000, immutable"),
    ] {
        let answer = taking(&rig, target, BROWSER);
        assert_eq!(answer.header("cache-control"), Some(kept), "{target}");
        let tag = answer.header("etag").unwrap();
        let again = rig.get_with(target, &[("accept-encoding", BROWSER), ("if-none-match", tag)]);
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{target}");
        assert_eq!(
            (again.header("etag"), again.header("cache-control")),
            (Some(tag), Some(kept)),
            "{target}"
        );
        // The same content in another coding is something else to a cache.
        let other = rig.get_with(target, &[("accept-encoding", "gzip"), ("if-none-match", tag)]);
        assert_eq!(other.status, 200, "{target}");
    }
}

#[test]
fn the_console_runs_its_own_scripts_alone_and_nothing_else_runs_any() {
    let rig = with_console();
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                  connect-src 'self'; worker-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
                  form-action 'none'; frame-ancestors 'none'";
    for target in ["/", "/assets/app-1.js", "/favicon.svg"] {
        let answer = taking(&rig, target, BROWSER);
        assert_eq!(answer.header("content-security-policy"), Some(policy), "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{target}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{target}");
    }
    for target in ["/assets/nothing", "/api/v1/lampposts", "/metrics"] {
        let policy = rig.get(target).header("content-security-policy").unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; base-uri"), "{target}: {policy}");
    }
}

#[test]
fn what_is_no_file_of_the_console_is_not_there_whatever_way_it_is_written() {
    let rig = with_console();
    let host = format!("Host: {}", rig.address);
    for path in [
        "/assets/",
        "/assets/nothing.js",
        "/assets/app-1.js/",
        "/assets/../favicon.svg",
        "/assets/%2e%2e/favicon.svg",
        "/assets/..%2ffavicon.svg",
        "/assets/..",
        "/assets/%2e%2e",
        "/assets/%2Fetc%2Fpasswd",
        "/assets//app-1.js",
        "/assets/app-1.js%00",
        "/assets/..%5c..%5cfavicon.svg",
        "/assets/../api/v1/lampposts",
    ] {
        rig.raw(&format!("GET {path} HTTP/1.1\r\n{host}")).problem(404, "not-found");
    }
    for path in
        ["/index.html", "/favicon.svg.br", "//favicon.svg", "/app-1.js", "/../favicon.svg", "/assets/./../"]
    {
        let answer = rig.raw(&format!("GET {path} HTTP/1.1\r\n{host}"));
        assert!(answer.status == 401 || answer.status == 404, "{path}: {answer:?}");
    }
}

#[test]
fn the_console_is_for_this_host_only_and_read_only() {
    let rig = with_console();
    for target in ["/", "/assets/app-1.js", "/favicon.svg"] {
        rig.raw(&format!("GET {target} HTTP/1.1\r\nHost: lamplighter.example")).problem(421, "foreign-host");
        let host = format!("Host: {}", rig.address);
        let head = rig.raw(&format!("HEAD {target} HTTP/1.1\r\n{host}\r\nAccept-Encoding: br"));
        let whole = taking(&rig, target, "br");
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{target}");
        for name in ["content-length", "content-encoding", "content-type", "etag", "cache-control"] {
            assert_eq!(head.header(name), whole.header(name), "{target} {name}");
        }
        let post = rig.raw(&format!("POST {target} HTTP/1.1\r\n{host}\r\nContent-Length: 0"));
        post.problem(405, "method-not-allowed");
        rig.get(&format!("{target}?token=1")).problem(400, "unknown-parameter");
    }
}

#[test]
fn without_a_console_the_start_page_says_how_to_build_it() {
    let rig = Rig::new();
    let page = rig.get_with("/", &[]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for part in ["npm ci &amp;&amp; npm run build", "cargo build", "href=\"/api/v1/openapi.json\""] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(!page.text.contains("<script") && !page.text.contains("style"), "{}", page.text);
    rig.get_with("/assets/app-1.js", &[]).problem(404, "not-found");
}

#[test]
fn what_is_built_into_this_program_can_be_served() {
    let console = Console::built_in();
    assert!(console.beside_page().all(|path| path.starts_with('/') && console.has(path)));
    assert!(format!("{console:?}").starts_with('['));
    let rig = Rig::of(Shape { console, ..Shape::default() });
    let page = taking(&rig, "/", BROWSER);
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-encoding"), console.has("/").then_some("br"));
}

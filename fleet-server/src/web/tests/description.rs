use std::collections::BTreeSet;

use lamplighter_protocol::Reason;
use serde_json::{Value, json};

use super::rig::Rig;
use super::{feeds, schema};

/// Every path that is served, with parameters that lead somewhere.
const PATHS: [(&str, &str); 32] = [
    ("/", "/"),
    ("/assets/{file}", "/assets/app-1.js"),
    ("/basemap.pmtiles", "/basemap.pmtiles"),
    ("/api/v1/basemap", "/api/v1/basemap"),
    ("/login", "/login?token=1"),
    ("/healthz", "/healthz"),
    ("/readyz", "/readyz"),
    ("/metrics", "/metrics"),
    ("/live", "/live"),
    ("/problems/{name}", "/problems/older-than-tail"),
    ("/api/v1/openapi.json", "/api/v1/openapi.json"),
    ("/api/v1/catalogue", "/api/v1/catalogue"),
    ("/api/v1/city", "/api/v1/city"),
    ("/api/v1/city/states", "/api/v1/city/states"),
    ("/api/v1/latest", "/api/v1/latest"),
    ("/api/v1/lampposts", "/api/v1/lampposts"),
    ("/api/v1/lampposts/{number}", "/api/v1/lampposts/DF1"),
    ("/api/v1/lampposts/{number}/latest", "/api/v1/lampposts/DF1/latest"),
    ("/api/v1/lampposts/{number}/series", "/api/v1/lampposts/DF1/series"),
    (
        "/api/v1/lampposts/{number}/series/{device}/{property}",
        "/api/v1/lampposts/DF1/series/weather-1/air_temperature",
    ),
    ("/api/v1/lampposts/{number}/places", "/api/v1/lampposts/DF1/places"),
    ("/api/v1/lampposts/{number}/outboxes", "/api/v1/lampposts/DF1/outboxes"),
    ("/api/v1/lampposts/{number}/completeness", "/api/v1/lampposts/DF1/completeness"),
    (
        "/api/v1/lampposts/{number}/series/{device}/{property}/completeness",
        "/api/v1/lampposts/DF1/series/weather-1/air_temperature/completeness",
    ),
    ("/api/v1/lampposts/{number}/stops", "/api/v1/lampposts/DF1/stops"),
    ("/api/v1/tokens", "/api/v1/tokens"),
    ("/api/v1/certificates", "/api/v1/certificates"),
    ("/api/v1/connections", "/api/v1/connections"),
    ("/api/v1/refusals", "/api/v1/refusals"),
    ("/api/v1/system", "/api/v1/system"),
    ("/api/v1/departments", "/api/v1/departments"),
    ("/api/v1/departments/{name}/grants", "/api/v1/departments/traffic/grants"),
];

/// What decides something, and is at no path that is read.
const DECIDED: [&str; 15] = [
    "/api/v1/certificates/{serial}/revocation",
    "/api/v1/import",
    "/api/v1/tokens/{id}/ending",
    "/api/v1/lampposts/{number}/outboxes/{outbox}/close",
    "/api/v1/lampposts/{number}/outboxes/{outbox}/release",
    "/api/v1/lampposts/{number}/relocation",
    "/api/v1/lampposts/{number}/replacement",
    "/api/v1/lampposts/{number}/retirement",
    "/api/v1/lampposts/{number}/revive",
    "/api/v1/departments/{name}",
    "/api/v1/departments/{name}/keys",
    "/api/v1/departments/{name}/keys/{id}",
    "/api/v1/departments/{name}/certificates",
    "/api/v1/departments/{name}/certificates/{serial}",
    "/api/v1/departments/{name}/grants/{id}",
];

fn document(rig: &Rig) -> Value {
    rig.get("/api/v1/openapi.json").json()
}

#[test]
fn the_document_is_openapi_3_1_and_names_every_path() {
    let rig = Rig::new();
    let document = document(&rig);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["info"]["license"]["identifier"], "Apache-2.0");
    let described: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(described, PATHS.iter().map(|(path, _)| *path).chain(DECIDED).collect());
}

#[test]
fn the_committed_document_is_the_one_that_the_code_makes() {
    let mut made = Vec::new();
    crate::cli::print_openapi(&mut made).unwrap();
    let committed = include_str!("../../../openapi.json");
    assert!(
        made == committed.as_bytes(),
        "renew it: cargo run -p fleet-server -- openapi > fleet-server/openapi.json"
    );
}

#[test]
fn every_operation_names_the_problems_that_it_may_answer_with() {
    let rig = Rig::new();
    let document = document(&rig);
    let open = ["/", "/assets/{file}", "/healthz", "/readyz", "/metrics", "/login", "/problems/{name}"];
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, operation)| (path, method.as_str(), operation))
    });
    for (path, method, operation) in operations {
        let responses = &operation["responses"];
        let mut expected = vec!["400", "413", "421", "500", "503"];
        if !open.contains(&path.as_str()) || path == "/login" {
            expected.push("401");
        }
        if path.contains('{') {
            expected.push("404");
        }
        let decides = method != "get";
        if decides {
            expected.push("403");
        }
        let may_conflict = ["/outboxes/", "/departments", "/import"].iter().any(|part| path.contains(part));
        if method == "post" && may_conflict {
            expected.push("409");
        }
        for status in expected {
            let response = &responses[status];
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{path} {status}");
            assert!(response["description"].as_str().unwrap().contains("/problems/"), "{path} {status}");
        }
        assert_eq!(operation.get("security").is_none(), open.contains(&path.as_str()), "{path}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path}");
    }
    let data =
        &document["paths"]["/api/v1/lampposts/{number}/series/{device}/{property}"]["get"]["responses"];
    assert!(data["410"]["description"].as_str().unwrap().contains("older-than-tail"));
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let rig = Rig::new();
    let document = document(&rig);
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 30, "{references:?}");
    for reference in references {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
}

#[test]
fn every_described_path_is_served_and_refuses_unknown_parameters() {
    let rig = Rig::new();
    let document = document(&rig);
    for (path, target) in PATHS {
        let operation = &document["paths"][path]["get"];
        let separator = if target.contains('?') { '&' } else { '?' };
        let problem = rig.get(&format!("{target}{separator}unheard-of=1")).problem(400, "unknown-parameter");
        let detail = problem["detail"].as_str().unwrap();
        let named: BTreeSet<&str> = parameters(operation, "query").collect();
        let (_, taken) = detail.split_once("those that there are: ").unwrap();
        let taken: BTreeSet<&str> = taken.split(", ").filter(|name| *name != "none").collect();
        assert_eq!(named, taken, "{path}: what is described and what is taken");
        let in_path: BTreeSet<&str> = parameters(operation, "path").collect();
        let braced = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        assert_eq!(in_path, braced.collect(), "{path}");
        let has_name = operation["operationId"].as_str().is_some_and(|id| !id.is_empty());
        assert!(has_name, "{path}");
    }
}

#[test]
fn answers_are_what_the_document_says_they_are() {
    let rig = Rig::new();
    rig.post("/api/v1/departments?name=traffic&title=Transport").json();
    rig.post("/api/v1/departments/traffic/keys?days=30").json();
    rig.post("/api/v1/departments/traffic/grants?filter=highway/traffic/%23").json();
    rig.report_stops(&[(9_000, 14_000)]);
    rig.observe("DF1", "air-1/pm2_5/max", 0, Some(40.0), Reason::OUT_OF_RANGE);
    let document = document(&rig);
    let streams =
        ["/", "/assets/{file}", "/basemap.pmtiles", "/login", "/metrics", "/live", "/api/v1/openapi.json"];
    let mut checked = 0;
    for (path, target) in PATHS.into_iter().filter(|(path, _)| !streams.contains(path)) {
        let schema =
            &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path}");
        let faults = schema::faults(&document, schema, &rig.get(target).json());
        assert_eq!(faults, Vec::<String>::new(), "{path}");
        checked += 1;
    }
    assert_eq!(checked, PATHS.len() - streams.len());
    let data = "/api/v1/lampposts/{number}/series/{device}/{property}";
    let schema = &document["paths"][data]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    let buckets = rig.get("/api/v1/lampposts/DF1/series/weather-1/air_temperature?step=5").json();
    assert_eq!(schema::faults(&document, schema, &buckets), Vec::<String>::new());
    let states = "/api/v1/city/states";
    let schema =
        &document["paths"][states]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    let values = rig.get("/api/v1/city/states?property=pm2_5").json();
    assert_eq!(schema::faults(&document, schema, &values), Vec::<String>::new());
    let file = &document["paths"][data]["get"]["responses"]["200"]["content"]["text/csv"];
    assert_eq!(file["schema"]["type"], "string");
    let problem: Value = serde_json::from_str(&rig.get("/api/v1/lampposts?a=1").text).unwrap();
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    assert_eq!(schema::faults(&document, &schema, &problem), Vec::<String>::new());
}

#[test]
fn the_checker_of_answers_finds_what_is_wrong() {
    let rig = Rig::new();
    let document = document(&rig);
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    let wrong = json!({"type": 1, "title": "a", "status": 400, "detail": "b", "colour": "red"});
    assert_eq!(schema::faults(&document, &schema, &wrong).len(), 2);
    assert!(!schema::faults(&document, &schema, &json!({})).is_empty());
}

#[test]
fn the_described_live_events_are_the_ones_that_are_sent() {
    let rig = Rig::new();
    let document = document(&rig);
    let seen = feeds::one_of_each_event(&rig);
    assert_eq!(
        seen.iter().map(|(event, _)| event.as_str()).collect::<Vec<_>>(),
        ["time", "reset", "changes"]
    );
    for (event, data) in seen {
        let (first, rest) = event.split_at(1);
        let schema = json!({"$ref": format!("#/components/schemas/Live{}{rest}", first.to_uppercase())});
        assert_eq!(schema::faults(&document, &schema, &data), Vec::<String>::new(), "{event}");
    }
}

fn parameters<'a>(operation: &'a Value, place: &'a str) -> impl Iterator<Item = &'a str> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.filter(move |one| one["in"] == place).map(|one| one["name"].as_str().unwrap())
}

fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|one| collect_references(one, found));
        }
        Value::Array(values) => values.iter().for_each(|one| collect_references(one, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

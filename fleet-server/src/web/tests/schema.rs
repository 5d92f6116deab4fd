//! Whether a JSON value is what a schema of the OpenAPI document says: as much of JSON Schema as the document uses.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What is wrong with `value`; empty if it is what `schema` says and has no property that the schema does not have.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, "$", &mut faults);
    if let Value::Object(object) = value {
        strangers(document, schema, object, "$", &mut faults);
    }
    faults
}

fn check(document: &Value, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    let schema = resolved(document, schema);
    for one in schema["allOf"].as_array().into_iter().flatten() {
        check(document, one, value, path, faults);
    }
    if let Some(one_of) = schema["oneOf"].as_array() {
        let fits = one_of.iter().filter(|one| {
            let mut of_one = Vec::new();
            check(document, one, value, path, &mut of_one);
            if let Value::Object(object) = value {
                strangers(document, one, object, path, &mut of_one);
            }
            of_one.is_empty()
        });
        if fits.count() != 1 {
            faults.push(format!("{path}: {value} fits not exactly one of {one_of:?}"));
        }
    }
    if !types(schema).is_empty() && !types(schema).iter().any(|name| is_of(value, name)) {
        faults.push(format!("{path}: {value} is not of type {}", schema["type"]));
    }
    if let Some(among) = schema["enum"].as_array()
        && !among.contains(value)
    {
        faults.push(format!("{path}: {value} is not among {among:?}"));
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        for (place, one) in values.iter().enumerate() {
            let path = format!("{path}[{place}]");
            check(document, items, one, &path, faults);
            if let Value::Object(object) = one {
                strangers(document, items, object, &path, faults);
            }
        }
    }
    if let Value::Object(object) = value {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                faults.push(format!("{path} has no {name}"));
            }
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(one) = object.get(name) {
                check(document, property, one, &format!("{path}.{name}"), faults);
            }
        }
    }
}

fn strangers(
    document: &Value,
    schema: &Value,
    object: &Map<String, Value>,
    path: &str,
    faults: &mut Vec<String>,
) {
    let known = properties(document, schema);
    if known.is_empty() {
        return;
    }
    for name in object.keys().filter(|name| !known.contains(name.as_str())) {
        faults.push(format!("{path}.{name} is not in the schema"));
    }
}

fn properties<'a>(document: &'a Value, schema: &'a Value) -> BTreeSet<&'a str> {
    let schema = resolved(document, schema);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let parts = ["allOf", "oneOf"].into_iter().filter_map(|part| schema[part].as_array()).flatten();
    own.chain(parts.flat_map(|part| properties(document, part))).collect()
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => resolved(document, document.pointer(&reference[1..]).unwrap()),
        None => schema,
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("a type that the checker does not know: {other}"),
    }
}

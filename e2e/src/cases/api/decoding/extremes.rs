//! Values at and beyond the limits of what a field may hold. Most are rejected.

use serde_json::{Value, json};

/// More levels than `serde_json` reads.
const LEVELS: usize = 200;

const TIMES: [&str; 22] = [
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-12:00",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "1000-01-01T00:00:00Z",
    "9998-12-31T23:59:59.999999999Z",
    "2026-01-01t00:00:00z",
    "2026-01-01T00:00:00+99:99",
    "2026-01-01T00:00:00+23:59",
    "2026-01-01T00:00:00.0000000000001Z",
    "2026-01-01T00:00:00,5Z",
    "2026-06-30T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "2028-02-29T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2000-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-00-10T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:60:00Z",
];

const BYTES: [&str; 9] = [
    "QR==", "QQ", "QQ==", "QUJ=", "QQ==\n", " QQ==", "====", "_-==", "QQ==QQ==",
];

const TEXTS: [&str; 8] = [
    "",
    "x",
    "null",
    "1e999999999",
    "99999999999999999999",
    "a\u{0}b\nc\u{7f}",
    "\u{feff}\u{10ffff}\u{202e}",
    "2562047h47m16.854775807s",
];

/// The extreme values for a schema: those of its type, and those of others.
pub(super) fn of(schema: &Value) -> Vec<Value> {
    let mut values = vec![
        Value::Null,
        json!({}),
        json!([]),
        json!(""),
        json!(0),
        json!(true),
    ];
    let mut add = |more: Vec<Value>| values.extend(more);
    if let Some(words) = schema["enum"].as_array() {
        add(words.clone());
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => add(numbers()),
        Some("boolean") => add(vec![json!(false), json!("true"), json!(1)]),
        Some("string") => {
            // Times and bytes have a pattern in place of a format.
            if schema["pattern"].is_string() {
                add(TIMES.map(Value::from).to_vec());
                add(BYTES.map(Value::from).to_vec());
            }
            add(TEXTS.map(Value::from).to_vec());
            add(vec![json!("x".repeat(300))]);
        }
        Some("array") => add(vec![json!([null]), json!([[]]), json!([{}])]),
        Some("object") => add(vec![
            json!({ "key": null }),
            json!({ "": {} }),
            json!({ "key": nested() }),
            nested(),
        ]),
        _ => {}
    }
    if schema["x-kubernetes-int-or-string"] == true {
        add(numbers());
        add(TEXTS.map(Value::from).to_vec());
        add(["1Ki", "-1m", "1e100000", "0.0000000000000001"]
            .map(Value::from)
            .to_vec());
    }
    values
}

fn numbers() -> Vec<Value> {
    let mut numbers = vec![
        json!(1.0),
        json!(-1.0),
        json!(1.5),
        json!(1e3),
        json!(1e19),
        json!(1e300),
        json!(-1e300),
        json!(u64::MAX),
    ];
    for edge in [0, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 53, i64::MAX] {
        numbers.extend([json!(edge), json!(edge - 1), json!(-edge), json!(-edge - 1)]);
    }
    numbers.push(json!(1_u64 << 63));
    numbers
}

fn nested() -> Value {
    (0..LEVELS).fold(json!(1), |inner, _| json!({ "x": inner }))
}

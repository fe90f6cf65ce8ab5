//! Bounds what the API server would accept and the types of this project could not decode: one such object would be
//! left out by the operators instead of being rejected when it is written.

use serde_json::{Map, Value, json};

/// Fields that hold a number of 32 bits or a name. Every other field of a number or a text is a quantity, which has no
/// bound.
const PORTS: [&str; 2] = ["port", "targetPort"];

const PORT_RANGE: (i64, i64) = (1, 65_535);

/// The API server keeps numbers beyond these as fractions.
const EXACT: i64 = (1 << 53) - 1;

/// The limits of the types of numbers.
pub(crate) const OF_TYPES: [f64; 4] = [
    -2_147_483_648.0,
    2_147_483_647.0,
    -9_007_199_254_740_991.0,
    9_007_199_254_740_991.0,
];

/// A time as in RFC 3339 of the years 1000 to 9998, with at most nanoseconds, and of a day that exists. The format `date-time`
/// accepts more: an empty list, times of year 9999, and offsets that no time zone has.
pub(crate) const TIME: &str = r"^(([1-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Base64 with padding, and without bits behind the last byte. The format `byte` alone accepts more.
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// Bounds every number, time and byte sequence of a schema that has no closer bound.
pub(crate) fn close(schema: &mut Value) {
    bound("", schema);
}

fn bound(name: &str, schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    match (text(map, "type").as_deref(), text(map, "format").as_deref()) {
        (Some("integer"), Some("int32")) => range(map, (i32::MIN.into(), i32::MAX.into())),
        (Some("integer"), _) => range(map, (-EXACT, EXACT)),
        // With these formats the API server accepts an empty list, too.
        (Some("string"), Some("date-time")) => {
            map.remove("format");
            pattern(map, TIME);
        }
        (Some("string"), Some("byte")) => {
            map.remove("format");
            pattern(map, BASE64);
        }
        _ => {}
    }
    let is_int_or_string = map.get("x-kubernetes-int-or-string") == Some(&json!(true));
    if is_int_or_string && PORTS.contains(&name) {
        range(map, PORT_RANGE);
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties {
            bound(name, property);
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(inner) {
            bound("", inner);
        }
    }
}

fn range(map: &mut Map<String, Value>, (least, most): (i64, i64)) {
    map.entry("minimum").or_insert(json!(least));
    map.entry("maximum").or_insert(json!(most));
}

fn pattern(map: &mut Map<String, Value>, pattern: &str) {
    map.entry("pattern").or_insert(json!(pattern));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closer_bounds_are_kept() {
        let mut schema = json!({ "type": "object", "properties": {
            "small": { "type": "integer", "format": "int32", "minimum": 0 },
            "large": { "type": "integer", "format": "int64" },
            "port": { "x-kubernetes-int-or-string": true },
            "limits": { "type": "object", "additionalProperties": { "x-kubernetes-int-or-string": true } },
            "times": { "type": "array", "items": { "type": "string", "format": "date-time" } },
        }});
        close(&mut schema);
        let of = |path: &str| schema.pointer(&format!("/properties/{path}")).unwrap();
        assert_eq!(of("small/minimum"), 0);
        assert_eq!(of("small/maximum"), i32::MAX);
        assert_eq!(of("large/maximum"), 9_007_199_254_740_991_i64);
        assert_eq!(
            (of("port/minimum"), of("port/maximum")),
            (&json!(1), &json!(65_535))
        );
        assert_eq!(
            of("limits/additionalProperties"),
            &json!({ "x-kubernetes-int-or-string": true })
        );
        assert_eq!(of("times/items/pattern"), TIME);
        assert_eq!(schema.pointer("/properties/times/items/format"), None);
    }
}

//! What `--json` prints: one document on standard output, with the same keys every time.
//!
//! What the keys mean is in `docs/json.md`, and `ae explain KEY` says it of each figure.

use serde::Serialize;
use serde_json::Value;

use super::output::print;
use crate::Result;

/// Prints a document.
///
/// # Errors
/// Standard output that cannot be written.
pub fn document(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value).expect("results are JSON")))
}

/// The same, in which `keys` that the value does not have are null: a schema does not depend on what was measured. A
/// key of an object within has a dot in it, `code.saturation`.
///
/// # Errors
/// Standard output that cannot be written.
pub fn document_with(value: &impl Serialize, keys: &[&str]) -> Result<()> {
    let value = completed(serde_json::to_value(value).expect("results are JSON"), keys);
    print(&format!("{}\n", serde_json::to_string_pretty(&value).expect("a value is JSON")))
}

fn completed(mut value: Value, keys: &[&str]) -> Value {
    for key in keys {
        let (within, key) = key.rsplit_once('.').unwrap_or(("", key));
        let place = if within.is_empty() { Some(&mut value) } else { value.get_mut(within) };
        if let Some(Value::Object(object)) = place {
            object.entry(key).or_insert(Value::Null);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_not_measured_is_null() {
        let value = completed(json!({ "a": 1, "b": {}, "d": null }), &["a", "b.x", "c", "c.x", "d.x"]);
        assert_eq!(value, json!({ "a": 1, "b": { "x": null }, "c": null, "d": null }));
    }
}

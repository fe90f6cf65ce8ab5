//! The size of a value as JSON. Pure.

use std::io::{self, Write};

use serde::Serialize;

/// Returns how many bytes a value has as JSON, without storing them.
#[must_use]
pub fn json_size(value: &impl Serialize) -> usize {
    let mut counter = Counter(0);
    // What cannot be written as JSON did not come as JSON.
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::json_size;

    #[test]
    fn the_size_is_that_of_the_json() {
        assert_eq!(json_size(&serde_json::json!({ "a": "b" })), 9);
    }
}

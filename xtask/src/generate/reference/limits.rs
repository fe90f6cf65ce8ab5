//! The page of limits: how large what users write may be.

use std::fmt::Write as _;

use shared_types::limits;

use super::{GENERATED, cell};

pub(super) fn page() -> String {
    let mut page = format!(
        "# Sizes\n\n{GENERATED}\n\nWhat users write has a limit, so that no object can slow down or stop the operators for \
         others. The work for one object at every limit takes less than 50 ms (`cargo e2e bench bounds` measures it).\n\n\
         ## In the schemas\n\n\
         The API server rejects more than that. [Rules](rules.md) lists the limits of single fields; a field without one there \
         has one of these:\n\n\
         | What | Most |\n|---|---|\n\
         | a text | {} characters |\n\
         | an argument, a command, the value of a variable or annotation, a file | {} characters |\n\
         | a list | {} items |\n\
         | a map | {} entries |\n\n\
         ## By the operators\n\n\
         For what no schema can count, such as the content of a Secret. The condition names the limit and the actual size. Pods \
         that run keep running.\n\n\
         | What | Most | Beyond it |\n|---|---|---|\n",
        limits::TEXT,
        limits::LONG_TEXT,
        limits::ITEMS,
        limits::ENTRIES
    );
    for limits::Limit { what, most, beyond } in limits::ALL {
        let _ = writeln!(page, "| {} | {most} | {} |", cell(what), cell(beyond));
    }
    page
}

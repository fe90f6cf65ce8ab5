//! Every security mode of a pool against every kind of client: what must come of it, and what does.
//!
//! | Module | Concern |
//! |---|---|
//! | [`pools`] | the combinations of `sslMode`, `clientAuthMode` and PostgreSQL that a user may request |
//! | [`cells`] | the ways in which a client connects to one of them |
//! | [`oracle`] | what must come of a cell by the rules of pgpool and libpq |
//! | [`psql_output`] | what came of it by the output of psql |
//! | [`clients`], [`script`], [`batches`] | connecting to real pools, a node full at a time |
//! | [`routes`], [`transitions`], [`steady_clients`] | changing running pools from mode to mode, while clients connect |
//! | [`outcomes`], [`mode_report`], [`change_report`], `docs_page` | the result, for people, for programs, and for the book |

pub(crate) mod batches;
pub(crate) mod cells;
pub(crate) mod change_report;
pub(crate) mod clients;
#[cfg(test)]
mod docs_page;
pub(crate) mod mode_report;
pub(crate) mod oracle;
pub(crate) mod outcomes;
pub(crate) mod pools;
pub(crate) mod psql_output;
pub(crate) mod routes;
pub(crate) mod script;
pub(crate) mod steady_clients;
pub(crate) mod transitions;

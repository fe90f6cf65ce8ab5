//! Every security mode of a pool against every kind of client: what must come of it, and what does.
//!
//! | Module | Concern |
//! |---|---|
//! | [`pools`] | the combinations of `sslMode`, `clientAuthMode` and PostgreSQL that a user may ask for |
//! | [`cells`] | the ways in which a client connects to one of them |
//! | [`oracle`] | what the rules of pgpool and libpq say about a cell, written down without looking |
//! | [`reading`] | what psql said about it |
//! | [`clients`], [`script`], [`waves`] | asking real pools, a node full at a time |
//! | [`routes`], [`transitions`], [`load`] | changing running pools from mode to mode, while clients connect |
//! | [`table`], [`changes`], `page` | the result, for people, for programs, and for the book |

pub mod cells;
pub mod changes;
pub mod clients;
pub mod load;
pub mod oracle;
#[cfg(test)]
mod page;
pub mod pools;
pub mod reading;
pub mod routes;
pub mod script;
pub mod table;
pub mod transitions;
pub mod waves;

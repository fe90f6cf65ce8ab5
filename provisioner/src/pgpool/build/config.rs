//! The files pgpool reads. Each renders from values that `validate` has proven harmless.

pub(super) mod effective_content;
pub(super) mod pgpool_conf;
pub(super) mod pool_hba;
pub(super) mod pool_passwd;

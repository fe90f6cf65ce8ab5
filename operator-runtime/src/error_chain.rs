//! Errors as text: one line, each cause once, and messages of the API server unchanged. Pure.

use std::error::Error;

use kube::core::Status;
use kube::runtime::watcher;

/// Returns an error and its causes in one line.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let error = unboxed(error);
        next = error.source();
        let more = if let Some(status) = refusal(error) {
            // The remaining causes repeat it.
            next = None;
            sentence(status)
        } else if next.is_some() && (error.is::<kube::Error>() || error.is::<watcher::Error>()) {
            // Its text repeats its cause.
            continue;
        } else {
            error.to_string()
        };
        if !text.contains(&more) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&more);
        }
    }
    text
}

/// A boxed error is an error of its own, which hides the type of the inner one.
fn unboxed<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    match error.downcast_ref::<Box<kube::Error>>() {
        Some(error) => error.as_ref(),
        None => error,
    }
}

/// Returns the status that the API server responded with, if there is one.
fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Status> {
    if let Some(kube::Error::Api(status)) = error.downcast_ref() {
        return Some(status);
    }
    match error.downcast_ref() {
        Some(watcher::Error::WatchError(status)) => Some(status),
        _ => None,
    }
}

fn sentence(status: &Status) -> String {
    if status.message.is_empty() {
        return format!("the API server responded {} {}", status.code, status.reason);
    }
    format!("{} ({})", status.message, status.code)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::runtime::watcher;

    use super::error_chain;
    use crate::apply::ApplyError;

    fn refused() -> kube::Error {
        kube::Error::Api(
            Status::failure("pods is forbidden: no right", "Forbidden")
                .with_code(403)
                .boxed(),
        )
    }

    #[test]
    fn one_line_with_each_cause_once() {
        let refusal = "pods is forbidden: no right (403)";
        assert_eq!(error_chain(&refused()), refusal);
        assert_eq!(
            error_chain(&watcher::Error::InitialListFailed(refused())),
            refusal
        );
        assert_eq!(
            error_chain(&watcher::Error::NoResourceVersion),
            watcher::Error::NoResourceVersion.to_string()
        );
        let apply = ApplyError::Api {
            kind: "Pod".to_owned(),
            name: "a/b".to_owned(),
            source: Box::new(refused()),
        };
        assert_eq!(
            error_chain(&apply),
            format!("Pod a/b could not be written: {refusal}")
        );
        assert_eq!(
            apply.to_string(),
            error_chain(&apply),
            "without the chain as well"
        );
        let bare = kube::Error::Api(Status::failure("", "Conflict").with_code(409).boxed());
        assert_eq!(error_chain(&bare), "the API server responded 409 Conflict");
        let refused = std::io::Error::other("connection refused");
        assert_eq!(
            error_chain(&kube::Error::Service(refused.into())),
            "connection refused"
        );
    }
}

//! Errors as text: one line of limited length, each cause once, and no value of an object. Pure.
//!
//! Every error that is logged, or that stands in a condition or an event, passes here: the API server quotes values of
//! the objects that it rejects, and the decoder those that it cannot read.

mod refusal;

use std::error::Error;

use kube::config::KubeconfigError;
use kube::core::Status;
use kube::runtime::watcher;
use serde_json::error::Category;
use shared_types::text;
use tokio::task::JoinError;

/// The longest text of an error, in bytes.
const LONGEST: usize = 2048;

/// Returns an error and its causes in one line of at most 2 KiB.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let error = unboxed(error);
        next = error.source();
        let more = if let Some(text) = without_content(error) {
            next = None;
            text
        } else if let Some(status) = refusal(error) {
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
    text::within_bytes(text::one_line(text), LONGEST)
}

/// Returns the text of an error whose own text quotes what it is about: JSON, a kubeconfig, PEM, or a panic message.
fn without_content(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref() {
        return Some(undecodable(error));
    }
    if let Some(KubeconfigError::Parse(_) | KubeconfigError::ParseCertificates(_)) = error.downcast_ref() {
        return Some("it is not a valid kubeconfig".to_owned());
    }
    if error.is::<rustls_pki_types::pem::Error>() {
        return Some("it is not valid PEM".to_owned());
    }
    let join = error.downcast_ref::<JoinError>()?;
    let text = if join.is_panic() {
        "a task panicked"
    } else {
        "a task was stopped"
    };
    Some(text.to_owned())
}

fn undecodable(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let problem = match error.classify() {
        Category::Io => "JSON could not be read",
        Category::Syntax => "not JSON",
        Category::Data => "JSON of another type",
        Category::Eof => "JSON that is cut off",
    };
    if line == 0 {
        return problem.to_owned();
    }
    format!("{problem} at line {line} column {column}")
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

/// What the client gives as the reason when a response has an error code but is no status. Its message is the whole
/// response then.
const NO_STATUS: &str = "Failed to parse error data";

fn sentence(status: &Status) -> String {
    if status.reason == NO_STATUS {
        return format!(
            "the API server responded {} with a text that is no status",
            status.code
        );
    }
    if status.message.is_empty() {
        return format!("the API server responded {} {}", status.code, status.reason);
    }
    format!(
        "{} ({})",
        refusal::without_values(&status.message, status.code),
        status.code
    )
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
        let value = serde_json::from_str::<bool>(r#""MARKED-SECRET""#).unwrap_err();
        let list = watcher::Error::InitialListFailed(kube::Error::SerdeError(value));
        assert_eq!(error_chain(&list), "JSON of another type at line 1 column 15");
        let lines = std::io::Error::other(format!("a\nb{}", "c".repeat(5000)));
        let lines = error_chain(&lines);
        assert!(lines.starts_with("a b") && lines.len() == 2048, "{lines}");
        let refused = std::io::Error::other("connection refused");
        assert_eq!(
            error_chain(&kube::Error::Service(refused.into())),
            "connection refused"
        );
    }
}

//! Waits for conditions in a cluster: the one place in the tests where time passes.
//!
//! A check that fails means *not yet*, and its error says why. When the time is over, the last of these errors is the error
//! of the wait. So a test reads as a list of facts, and a failure names the fact that did not become true.

use std::fmt::{self, Debug};
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kube::Api;
use serde::de::DeserializeOwned;

use crate::progress::Elapsed;

/// Time between two checks.
const POLL: Duration = Duration::from_millis(100);

/// The error of a check that more time cannot fix, such as the end of a process. It ends the wait.
#[derive(Debug)]
pub struct Hopeless(pub String);

impl fmt::Display for Hopeless {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Hopeless {}

/// Calls `check` until it succeeds, and returns its result. After `limit`, or as soon as the error is [`Hopeless`], the last
/// error is returned with `what` and the time as context.
pub async fn until<T, F>(what: &str, limit: Duration, mut check: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let start = Instant::now();
    loop {
        // A single check that hangs must not exceed the limit either.
        let left = limit.saturating_sub(start.elapsed()).max(POLL);
        let error = match tokio::time::timeout(left, check()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => error,
            Err(_) => anyhow::anyhow!("no answer"),
        };
        if start.elapsed() + POLL > limit || error.is::<Hopeless>() {
            let waited = Elapsed(start.elapsed());
            return Err(error).with_context(|| format!("waited {waited} for: {what}"));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Calls `check` repeatedly for the time `span`, and fails as soon as it does.
pub async fn throughout<F>(what: &str, span: Duration, mut check: impl FnMut() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let start = Instant::now();
    while start.elapsed() < span {
        check()
            .await
            .with_context(|| format!("after {}: {what}", Elapsed(start.elapsed())))?;
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Waits until `read` has returned the same value for the time `calm`, and returns it.
pub async fn settled<T, F>(
    what: &str,
    calm: Duration,
    limit: Duration,
    mut read: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
    T: PartialEq,
{
    let start = Instant::now();
    let (mut last, mut since) = (read().await?, start);
    while since.elapsed() < calm {
        if start.elapsed() > limit {
            bail!("waited {} for: {what} stops changing", Elapsed(limit));
        }
        tokio::time::sleep(POLL).await;
        let found = read().await?;
        if found != last {
            (last, since) = (found, Instant::now());
        }
    }
    Ok(last)
}

/// Waits until the object `name` exists and `check` accepts it; returns the object.
pub async fn object<K>(
    api: &Api<K>,
    name: &str,
    limit: Duration,
    what: &str,
    check: impl Fn(&K) -> anyhow::Result<()>,
) -> anyhow::Result<K>
where
    K: Clone + DeserializeOwned + Debug,
{
    until(&format!("{name} {what}"), limit, || async {
        let object = api.get(name).await?;
        check(&object)?;
        Ok(object)
    })
    .await
}

/// Waits until the object `name` does not exist.
pub async fn gone<K>(api: &Api<K>, name: &str, limit: Duration) -> anyhow::Result<()>
where
    K: Clone + DeserializeOwned + Debug,
{
    until(&format!("{name} no longer exists"), limit, || async {
        match api.get_opt(name).await? {
            None => Ok(()),
            Some(_) => bail!("it still exists"),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn the_last_error_is_returned() {
        let tries = Cell::new(0);
        let never = until("the moon is full", Duration::from_millis(250), || async {
            tries.set(tries.get() + 1);
            anyhow::Result::<()>::Err(anyhow::anyhow!("try {}", tries.get()))
        });
        let error = format!("{:#}", never.await.unwrap_err());
        assert_eq!(
            error,
            format!("waited 0.2 s for: the moon is full: try {}", tries.get())
        );
    }

    #[tokio::test]
    async fn a_hopeless_error_ends_the_wait() {
        let never = until("it", Duration::from_hours(1), || async {
            anyhow::Result::<()>::Err(Hopeless("it is gone".to_owned()).into())
        });
        assert!(format!("{:#}", never.await.unwrap_err()).ends_with("for: it: it is gone"));
    }

    #[tokio::test]
    async fn the_result_of_the_check_is_returned() {
        let tries = Cell::new(0);
        let found = until("it", Duration::from_secs(10), || async {
            tries.set(tries.get() + 1);
            anyhow::ensure!(tries.get() == 3, "no");
            Ok(tries.get())
        });
        assert_eq!(found.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_value_that_keeps_changing_never_settles() {
        let mut reads = 0;
        let mut read = || {
            reads += 1;
            std::future::ready(Ok(reads.min(3)))
        };
        let (calm, limit) = (Duration::from_millis(250), Duration::from_secs(10));
        assert_eq!(settled("it", calm, limit, &mut read).await.unwrap(), 3);
        let mut reads = 0;
        let restless = || {
            reads += 1;
            std::future::ready(Ok(reads))
        };
        let error = settled("it", calm, Duration::from_millis(500), restless)
            .await
            .unwrap_err();
        assert!(error.to_string().ends_with("it stops changing"), "{error}");
    }

    #[tokio::test]
    async fn a_check_that_hangs_ends_with_the_limit() {
        let never = until(
            "it",
            Duration::from_millis(150),
            std::future::pending::<anyhow::Result<()>>,
        );
        assert!(format!("{:#}", never.await.unwrap_err()).contains("no answer"));
    }
}

//! A process that dies between two writes leaves nothing that the next one does not bring to its end.

use super::*;

/// Everything that is stored but what differs from run to run: passwords, and times.
fn settled(api: &FakeApi) -> std::collections::BTreeMap<String, Value> {
    let mut contents = api.contents();
    for object in contents.values_mut() {
        if object["metadata"]["name"]
            .as_str()
            .is_some_and(|name| ["pool-auth", "pool-pcp-6789ab"].contains(&name))
        {
            object["data"].take();
        }
        object["metadata"]["annotations"].take();
        for condition in object["status"]["conditions"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            condition["lastTransitionTime"].take();
        }
    }
    contents
}

#[tokio::test]
async fn killed_between_any_two_writes_the_end_is_the_same() {
    let certificates = certificates(&tls_pgpool(), &Pki::new());
    let begin = || {
        let stage = Stage::new(&tls_pgpool());
        for certificate in &certificates {
            stage.store(certificate);
        }
        stage.verify(&certificates, true);
        stage
    };
    let undisturbed = begin();
    undisturbed.reconcile().await;
    undisturbed.run_pods();
    undisturbed.checked().await;
    let expected = settled(&undisturbed.api);
    let writes = 12;
    for budget in 0..=writes {
        let first = begin();
        first.api.budget(Some(budget));
        assert_eq!(first.dies().await, budget < writes, "after {budget} writes");
        let api = first.api.clone();
        drop(first);
        let password = || {
            let secret: Option<Secret> = api.get("/api/v1/namespaces/demo/secrets/pool-auth");
            secret.map(|secret| secret.data.unwrap()["password"].0.clone())
        };
        let in_use = password();
        api.budget(None);
        let second = Stage::on(api.clone(), PATIENT);
        second.verify(&certificates, true);
        second.reconcile().await;
        second.run_pods();
        assert_eq!(
            second.checked().await,
            Outcome::Converged,
            "after {budget} writes"
        );
        assert!(
            in_use.is_none() || in_use == password(),
            "the password in use was replaced"
        );
        let end = settled(&api);
        assert!(
            end.keys().eq(expected.keys()),
            "after {budget} writes: {:?}",
            end.keys()
        );
        for (path, object) in end {
            let same = object == expected[&path];
            assert!(
                same,
                "after {budget} writes {path} is\n{object:#}\ninstead of\n{:#}",
                expected[&path]
            );
        }
    }
}

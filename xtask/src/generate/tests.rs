use super::*;

#[test]
fn checked_in_files_are_generated() {
    let wrong = wrong(&workspace::root(), &files().unwrap()).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_stale_file_and_one_that_nothing_generates_are_found() {
    let mut files = files().unwrap();
    files.retain(|file| !file.path.ends_with("/pgpools.kubedb.com.yaml"));
    files[0].text.push('#');
    let stale = format!("{} is stale: cargo xtask generate", files[0].path);
    let unknown = format!("{DEFINITIONS}/pgpools.kubedb.com.yaml is not generated: delete it");
    assert_eq!(wrong(&workspace::root(), &files).unwrap(), [stale, unknown]);
}

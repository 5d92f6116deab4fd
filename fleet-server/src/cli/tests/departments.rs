//! `department` and `grant`.

use tempfile::TempDir;

use super::*;

async fn run(directory: &TempDir, words: &str) -> Result<String, String> {
    perform(&format!("fleet-server {words} --data {}/data", directory.path().display())).await
}

#[tokio::test]
async fn a_department_is_given_a_key_that_is_printed_once_and_a_grant_and_both_are_ended() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    assert_eq!(run(&directory, "department list").await.unwrap(), "there are no departments\n");
    assert_eq!(run(&directory, "grant list").await.unwrap(), "nothing is granted\n");
    let added = run(&directory, "department add traffic --title 運輸署").await.unwrap();
    assert!(added.starts_with("department traffic (運輸署) is added: it hears nothing yet\n"), "{added}");

    let made = run(&directory, "department add-key traffic").await.unwrap();
    let lines: Vec<&str> = made.lines().collect();
    assert_eq!(lines[0], "key 1 of department traffic, good until it is ended");
    let key = lines[1].trim();
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let listen = |key: &str, filter: &str| {
        format!("  mosquitto_sub -h SERVER -p 8883 --cafile ca.pem -u traffic -P {key} -t '{filter}' -v")
    };
    assert_eq!(lines[3], listen(key, "highway/#"));
    assert_eq!(lines[4], "nothing is granted to it yet: `fleet-server grant add traffic FILTER`");

    let granted = run(&directory, "grant add traffic highway/+/King's/+/+").await.unwrap();
    assert_eq!(granted, "grant 1: department traffic may hear highway/+/King's/+/+\n");
    let made = run(&directory, "department add-key traffic --days 30 --note signals").await.unwrap();
    let lines: Vec<&str> = made.lines().collect();
    assert!(lines[0].starts_with("key 2 of department traffic, good until 2"), "{made}");
    assert_eq!(
        lines[3],
        listen(lines[1].trim(), r"highway/+/King'\''s/+/+"),
        "a shell reads it as it is meant"
    );
    assert_eq!(lines.len(), 4);

    let list = run(&directory, "department list").await.unwrap();
    let shown: Vec<&str> = list.lines().collect();
    assert!(shown[0].starts_with("traffic: 運輸署, since 2") && shown[0].ends_with(", 1 grant"), "{list}");
    assert!(
        shown[1].starts_with("  key 1, made 2") && shown[1].ends_with(", good until it is ended"),
        "{list}"
    );
    assert!(shown[2].starts_with("  key 2, made 2") && shown[2].ends_with(", signals"), "{list}");
    assert!(!list.contains(key));
    let list = run(&directory, "grant list traffic").await.unwrap();
    assert!(list.lines().nth(1).unwrap().starts_with("1      traffic "), "{list}");
    assert!(list.ends_with(" highway/+/King's/+/+\n"), "{list}");

    assert_eq!(
        run(&directory, "department end-key 1").await.unwrap(),
        "key 1 of department traffic is ended\n"
    );
    let again = run(&directory, "department end-key 1").await.unwrap_err();
    assert_eq!(again, "there is no key 1, or it is ended");
    let withdrawn = run(&directory, "grant withdraw 1").await.unwrap();
    assert!(withdrawn.starts_with("grant 1 is withdrawn: department traffic "), "{withdrawn}");
    let ended = run(&directory, "department end traffic").await.unwrap();
    assert_eq!(ended, "department traffic is ended, with 1 keys, 0 certificates and 0 grants\n");
    assert_eq!(run(&directory, "department list").await.unwrap(), "there are no departments\n");
}

#[tokio::test]
async fn a_department_is_given_a_certificate_for_its_own_key_which_is_listed_and_ended() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    issue(directory.path(), "DF3637", "").await.unwrap();
    run(&directory, "department add traffic --title Transport").await.unwrap();
    let at = |name: &str| directory.path().join(name);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut asked = rcgen::CertificateParams::default();
    // Nobody is believed who calls himself something.
    asked.distinguished_name.push(rcgen::DnType::CommonName, "DF3637");
    put(at("traffic.csr"), asked.serialize_request(&key).unwrap().pem().unwrap());
    let certify = format!("department certify traffic --request {}", at("traffic.csr").display());
    let said = run(&directory, &format!("{certify} --for 30d --out {}", at("traffic.pem").display())).await;
    let said = said.unwrap();
    assert!(
        said.ends_with("nothing is granted to it yet: `fleet-server grant add traffic FILTER`\n"),
        "{said}"
    );
    let written = fs::read_to_string(at("traffic.pem")).unwrap();
    let serial = said.split(' ').nth(1).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(written.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    assert_eq!(certificate.subject().to_string(), "OU=department, O=traffic");
    assert_eq!(CertificateSerial::of_certificate(&pem.contents).unwrap().as_str(), serial);

    let printed = run(&directory, &certify).await.unwrap();
    assert!(printed.contains("\n-----BEGIN CERTIFICATE-----\n"), "{printed}");
    let list = run(&directory, "department list").await.unwrap();
    assert_eq!(list.lines().filter(|line| line.starts_with("  certificate ")).count(), 2, "{list}");
    assert!(list.contains(&format!("  certificate {serial}, issued 2")), "{list}");
    assert!(!run(&directory, "cert list").await.unwrap().contains(serial), "it is no lamppost's");

    run(&directory, "ca rotate").await.unwrap();
    run(&directory, "cert revoke --lamppost DF3637").await.unwrap();
    let shown = run(&directory, "ca show").await.unwrap();
    assert!(
        shown
            .contains("2 certificates of departments are the old CA's, and are changed by hand:\n  traffic ")
    );
    let refused = run(&directory, "ca retire").await.unwrap_err();
    assert!(refused.contains("and 2 certificates of departments would be good no more"), "{refused}");
    let serials = list.lines().filter_map(|line| line.strip_prefix("  certificate ")?.split(',').next());
    for serial in serials {
        let ended = run(&directory, &format!("department end-certificate {serial}")).await.unwrap();
        assert_eq!(ended, format!("certificate {serial} of department traffic is ended\n"));
    }
    let again = run(&directory, &format!("department end-certificate {serial}")).await.unwrap_err();
    assert!(again.ends_with("or it is ended"), "{again}");
    run(&directory, "ca retire").await.unwrap();

    for (words, expected) in [
        (format!("{certify} --out {}", at("traffic.pem").display()), "is there already"),
        (certify.replace("traffic --", "parks --"), "there is no department parks"),
        (certify.replace(".csr", ".pem"), "traffic.pem: it is no request in PEM"),
        (certify.replace(".csr", ".none"), "cannot read the request"),
        (format!("{certify} --for 0"), "a certificate is good for a minute to 3650 days"),
    ] {
        let error = run(&directory, &words).await.unwrap_err();
        assert!(error.contains(expected), "{words}: {error}");
    }
    assert_eq!(fs::read_to_string(at("traffic.pem")).unwrap(), written);
}

#[tokio::test]
async fn what_makes_no_sense_of_departments_is_refused_with_what_would() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = run(&directory, "department list").await.unwrap_err();
    assert!(nowhere.starts_with("there is no registry in "), "{nowhere}");
    import(directory.path(), CITY).await.unwrap();
    for (words, expected) in [
        ("department add Traffic --title T", "1 to 32 characters of a-z, 0-9 and -"),
        ("department add traffic", "--title <TEXT>"),
        ("department add traffic --title ", "give a line of 1 to 80 characters"),
        ("department add-key traffic --days 0", "give 1 to 3650 whole days"),
        ("department add-key traffic", "there is no department traffic"),
        ("department end-key one", "a key is named by a number: see `department list`"),
        ("grant add traffic highway/traffic/#", "there is no department traffic"),
        ("grant add traffic $share/g/highway/#", "a filter of feeds begins with highway/"),
        ("grant add traffic highway/a", "no topic has that many levels"),
        ("grant list traffic", "there is no department traffic"),
        ("grant withdraw 1", "there is no grant 1"),
    ] {
        let error = run(&directory, words).await.unwrap_err();
        assert!(error.contains(expected), "{words}: {error}");
    }
}

//! What OpenSSL makes of the gateway's TLS, and certificates of a CA that is not the fleet's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage::{Stage, run};

#[test]
fn openssl_sees_tls_1_3_and_a_chain_to_the_fleets_ca() {
    let stage = Stage::with_lampposts(&["GF0001"]);
    let fleet_ca = stage.certificates_of("GF0001").join("ca.pem");
    let said = run(&mut s_client(&stage, &fleet_ca));
    assert_eq!(said.code, Some(0), "{}", said.err);
    for line in ["Protocol version: TLSv1.3", "Verification: OK"] {
        assert!(said.err.contains(line), "{line} is missing: {}", said.err);
    }

    let older = run(s_client(&stage, &fleet_ca).arg("-tls1_2"));
    assert!(older.err.contains("Protocol version: TLSv1.2"), "{}", older.err);

    let stranger = ForeignCa::make(stage.directory(), "/CN=Somebody else");
    let refused = run(&mut s_client(&stage, &stranger.certificate()));
    assert_ne!(refused.code, Some(0), "another CA does not vouch for the server: {}", refused.err);
}

/// Shakes hands as a lamppost that trusts this CA alone, and ends.
fn s_client(stage: &Stage, ca: &Path) -> Command {
    let address = stage.server.mqtt();
    let folder = stage.certificates_of("GF0001");
    let mut openssl = Command::new("timeout");
    openssl.args(["30", "openssl", "s_client", "-brief", "-verify_return_error"]);
    openssl.args(["-connect", &address.to_string(), "-verify_ip", &address.ip().to_string()]);
    openssl.args(["-no-CApath", "-no-CAstore", "-CAfile"]).arg(ca);
    openssl.arg("-cert").arg(folder.join("GF0001.pem")).arg("-key").arg(folder.join("GF0001.key"));
    openssl
}

/// A CA that the fleet does not know.
pub(crate) struct ForeignCa(PathBuf);

impl ForeignCa {
    /// Makes one of this name, as OpenSSL writes names: `/CN=Somebody else`.
    pub(crate) fn make(directory: &Path, name: &str) -> Self {
        let folder = tempfile::tempdir_in(directory).unwrap().keep();
        let mut request = new_key(&folder.join("ca.key"));
        request.args(["-x509", "-days", "2", "-subj", name, "-out"]);
        run(request.arg(folder.join("ca.pem"))).succeeded();
        Self(folder)
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// Issues a certificate with the name of a lamppost; returns the folder that it lies in.
    pub(crate) fn issue(&self, number: &str) -> PathBuf {
        let file = |end: &str| self.0.join(format!("{number}.{end}"));
        let mut request = new_key(&file("key"));
        request.args(["-subj", &format!("/CN={number}"), "-out"]);
        run(request.arg(file("csr"))).succeeded();
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", "2", "-set_serial", "1", "-in"]).arg(file("csr"));
        sign.arg("-CA").arg(self.certificate()).arg("-CAkey").arg(self.0.join("ca.key"));
        sign.arg("-extfile").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("third-party/client.ext"));
        sign.arg("-out").arg(file("pem"));
        run(&mut sign).succeeded();
        self.0.clone()
    }
}

/// The name of the subject of a certificate, as OpenSSL takes it for a new one.
pub(crate) fn subject_of(certificate: &Path) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-subject", "-nameopt", "compat", "-in"]).arg(certificate);
    let said = run(&mut openssl).succeeded();
    said.trim().trim_start_matches("subject=").trim().to_owned()
}

fn new_key(path: &Path) -> Command {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"])
        .arg(path);
    openssl
}

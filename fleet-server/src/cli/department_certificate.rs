//! `department certify` and `department end-certificate`.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use lamplighter_protocol::UtcMillis;

use super::ca::CaKeyArgs;
use super::operator::operator;
use crate::ca::{Authority, Date, Validity, record_authority, write_certificate};
use crate::est::{LONGEST_REQUEST, requested_key};
use crate::feeds::DepartmentName;
use crate::registry::{CertificateSerial, Registry};

pub(super) const CERTIFY_HELP: &str = "\
The department makes its key, which never leaves it, and a request that is signed with it. Of the request its key alone is used. To change a certificate, issue another one, let the department's system take it, and end the old one.

Example:
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -keyout traffic.key -out traffic.csr
  fleet-server department certify traffic --request traffic.csr --out traffic.pem --data /var/lib/lamplighter
  mosquitto_sub -h SERVER -p 8883 --cafile ca.pem --cert traffic.pem --key traffic.key -t 'highway/traffic/#' -v";

pub(super) const END_CERTIFICATE_HELP: &str = "\
Who is connected with it is thrown out within seconds.

Example:
  fleet-server department end-certificate 4a01c6… --data /var/lib/lamplighter";

/// Which certificate to issue.
#[derive(Debug, Clone, Args)]
pub struct CertifyDepartmentArgs {
    /// The department's name
    #[arg(value_name = "NAME")]
    pub name: DepartmentName,
    /// The request for it: PKCS#10 in PEM, for a key of ECDSA on P-256
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// The file to write the certificate to, which is not there yet [default: it is printed]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// For how long it is good: 365d, 12h, 90m; a number alone is days
    #[arg(long = "for", value_name = "TIME", default_value_t = Validity::DEPARTMENT)]
    pub validity: Validity,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// How the CA's key is decrypted
    #[command(flatten)]
    pub ca_key: CaKeyArgs,
}

/// Which certificate to end.
#[derive(Debug, Clone, Args)]
pub struct EndCertificateArgs {
    /// Its serial number, as `department list` shows it
    #[arg(value_name = "SERIAL")]
    pub serial: CertificateSerial,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Issues a certificate. It is in the registry before anybody has it.
pub(super) async fn certify(
    registry: &Registry,
    args: &CertifyDepartmentArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let name = &args.name;
    if let Some(file) = args.out.as_ref().filter(|file| file.exists()) {
        anyhow::bail!("{} is there already: name another file, or move it away", file.display());
    }
    let request = read_request(&args.request)?;
    let key = requested_key(&request).with_context(|| args.request.display().to_string())?;
    // Before the CA is asked for anything.
    let department = registry.department(name).await?;
    let directory = args.data.join(Authority::DIRECTORY_NAME);
    let authority = Authority::open(&directory, args.ca_key.passphrase()?.as_ref(), now)?;
    record_authority(registry, &authority, now, &operator()).await?;
    let (pem, record) = authority.certify_department(name, &key, args.validity, now)?;
    registry.add_department_certificate(&record, &operator()).await?;
    let serial = &record.serial;
    let Some(file) = &args.out else {
        // Whoever reads PEM skips what stands before it.
        writeln!(out, "certificate {serial} of department {name}, good until {}", Date(record.not_after))?;
        write!(out, "{pem}")?;
        return Ok(());
    };
    write_certificate(file, &pem)
        .with_context(|| format!("the certificate {serial} is issued, but could not be written: end it"))?;
    writeln!(out, "certificate {serial} of department {name}, good until {}", Date(record.not_after))?;
    writeln!(out, "  {}", file.display())?;
    if department.grants.is_empty() {
        writeln!(out, "nothing is granted to it yet: `fleet-server grant add {name} FILTER`")?;
    }
    Ok(())
}

pub(super) async fn end(
    registry: &Registry,
    args: &EndCertificateArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let ended = registry.end_department_certificate(&args.serial, None, now, &operator()).await?;
    writeln!(out, "certificate {} of department {} is ended", ended.serial, ended.department)?;
    Ok(())
}

/// Never more than a request may have: it is somebody else's file.
fn read_request(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("cannot read the request {}", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(reading)?;
    let read = file.take(LONGEST_REQUEST as u64 + 1).read_to_string(&mut text).with_context(reading)?;
    if read > LONGEST_REQUEST {
        anyhow::bail!("{} is longer than any request: give PKCS#10 in PEM", path.display());
    }
    Ok(text)
}

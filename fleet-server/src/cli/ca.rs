//! `ca`: the fleet's certificate authority.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use lamplighter_protocol::{Digest, UtcMillis};

use super::operator::{operator, registry_in};
use crate::audit::{Action, Entry, Subject};
use crate::ca::{
    self, Authority, AuthorityCertificate, AuthorityError, Date, Overview, Passphrase, PassphraseError,
    Phase, record_authority,
};
use crate::registry::{Behind, CaRetirement, DepartmentCertificate, IfBehind, Registry};

/// Lampposts that are named; of the others it is said how many they are.
const MOST_NAMED: usize = 20;

const ROTATE_HELP: &str = "\
From then on the new CA signs. The old one's key is destroyed, and what it has signed stays good: lampposts are told of the new CA when they renew their certificates, and one that was off meanwhile comes back as always. A running server follows within two seconds. `ca show` says how many have followed; `ca retire` ends the trust in the old one.

The CA's certificate DIR/ca/ca.pem is another one then, for whoever enrols lampposts by it. Back up the keys anew: with the old ones no later backup can be restored.

Example:
  fleet-server ca rotate --data /var/lib/lamplighter
  fleet-server backup --data /var/lib/lamplighter --out /backups/2026-11-22 --keys /safe/keys-2026-11-22";

const RETIRE_HELP: &str = "\
What the old CA has signed is revoked, and nobody is believed by it any more. Lampposts that have not followed are cut off, and would have to be enrolled anew; certificates of departments that it has signed are good no more: it is refused while there are any of either, unless with --force.

Example:
  fleet-server ca retire --data /var/lib/lamplighter";

const ENCRYPT_HELP: &str = "\
The key is PKCS #8, encrypted by PBES2 (scrypt, AES-256-CBC): `openssl pkcs8` reads it. From the next start on, the server and whoever issues certificates need the file: --ca-passphrase-file. A copy of the keys made before is not encrypted.

Example:
  (umask 077; openssl rand -base64 32 > /safe/ca-passphrase)
  fleet-server ca encrypt --data /var/lib/lamplighter --passphrase-file /safe/ca-passphrase";

/// What can be done about the CA.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Print what is known of the CA, and how far its rotation has come
    Show(CaShowArgs),
    /// Make a new CA that signs from now on; the present one stays trusted
    #[command(after_help = ROTATE_HELP)]
    Rotate(CaRotateArgs),
    /// End the trust in the CA before
    #[command(after_help = RETIRE_HELP)]
    Retire(CaRetireArgs),
    /// Encrypt the CA's key, or encrypt it by another passphrase
    #[command(after_help = ENCRYPT_HELP)]
    Encrypt(CaEncryptArgs),
    /// Write the CA's key as it is, readable by its owner alone
    Decrypt(CaRotateArgs),
}

/// How the CA's key is decrypted.
#[derive(Debug, Clone, Default, Args)]
pub struct CaKeyArgs {
    /// The file whose first line is the passphrase of the CA's key, if that is encrypted; with it, a CA that is made is
    #[arg(long = "ca-passphrase-file", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Which CA to tell of.
#[derive(Debug, Clone, Args)]
pub struct CaShowArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which CA to rotate, or to decrypt.
#[derive(Debug, Clone, Args)]
pub struct CaRotateArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// How the CA's key is decrypted
    #[command(flatten)]
    pub ca_key: CaKeyArgs,
}

/// Which CA to retire.
#[derive(Debug, Clone, Args)]
pub struct CaRetireArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Cut off the lampposts and departments that have not followed
    #[arg(long)]
    pub force: bool,
}

/// What to encrypt the CA's key by.
#[derive(Debug, Clone, Args)]
pub struct CaEncryptArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The file whose first line is the passphrase: at least 16 characters, and nobody else's to read
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: PathBuf,
    /// How the CA's key is decrypted
    #[command(flatten)]
    pub ca_key: CaKeyArgs,
}

impl CaKeyArgs {
    /// Reads the passphrase, if there is one.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn passphrase(&self) -> Result<Option<Passphrase>, PassphraseError> {
        self.file.as_deref().map(Passphrase::read).transpose()
    }
}

/// `ca`.
///
/// # Errors
/// What failed at the CA or the registry.
pub async fn authority_command(
    command: &CaCommand,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match command {
        CaCommand::Show(args) => show(args, now, out).await,
        CaCommand::Rotate(args) => rotate(args, now, out).await,
        CaCommand::Retire(args) => retire(args, now, out).await,
        CaCommand::Encrypt(args) => encrypt(args, now, out).await,
        CaCommand::Decrypt(args) => decrypt(args, now, out).await,
    }
}

async fn show(args: &CaShowArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = registry_in(&args.data)?;
    let Overview { present, phase, is_key_encrypted } = ca::look(&args.data.join(Authority::DIRECTORY_NAME))?;
    describe("CA", &present, out)?;
    let key = match is_key_encrypted {
        Some(true) => "encrypted",
        Some(false) => "not encrypted: `fleet-server ca encrypt` encrypts it",
        None => "MISSING: restore it from a backup",
    };
    writeln!(out, "  key         {key}")?;
    let Phase::Rotated { old } = phase else {
        writeln!(out, "no other CA is trusted")?;
        return Ok(());
    };
    describe("still trusted, until `fleet-server ca retire`: CA", &old, out)?;
    let registry = Registry::open(&registry).await?;
    let (followed, behind) = (registry.followed(&present.key).await?, registry.behind(&present.key).await?);
    let departments = registry.departments_behind(&present.key, now).await?;
    registry.close().await;
    writeln!(out, "{followed} lampposts were seen with a certificate of the new CA")?;
    tell_behind(&behind, &departments, now, out)
}

async fn rotate(args: &CaRotateArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = Registry::open(&registry_in(&args.data)?).await?;
    let directory = args.data.join(Authority::DIRECTORY_NAME);
    let authority = ca::rotate(&directory, args.ca_key.passphrase()?.as_ref(), now)?;
    // The server tells it, too, should this process end here.
    record_authority(&registry, &authority, now, &operator()).await?;
    let behind = registry.behind(authority.key()).await?.len();
    let departments = registry.departments_behind(authority.key(), now).await?.len();
    registry.close().await;
    let Overview { present, .. } = ca::look(&directory)?;
    describe("made a new CA, which signs from now on:", &present, out)?;
    writeln!(out, "{behind} lampposts know the one before, which is trusted until `fleet-server ca retire`")?;
    if departments > 0 {
        writeln!(
            out,
            "{departments} certificates of departments are good until then: `fleet-server ca show` names them"
        )?;
    }
    writeln!(out, "back up the keys anew: `fleet-server backup --keys DIR`")?;
    Ok(())
}

async fn retire(args: &CaRetireArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = Registry::open(&registry_in(&args.data)?).await?;
    let directory = args.data.join(Authority::DIRECTORY_NAME);
    let Overview { present, phase, .. } = ca::look(&directory)?;
    let Phase::Rotated { old } = phase else { return Err(AuthorityError::NotRotated.into()) };
    let if_behind = if args.force { IfBehind::CutOff } else { IfBehind::Refuse };
    let subject = Subject::Authority(Digest::of(&old.der));
    let entry = Entry::new(now, operator(), Action::AuthorityRetired, subject);
    // The registry first: a CA that is trusted for a moment longer lets nobody in whose certificate is revoked.
    match registry.retire_authority(&present.key, if_behind, now, entry).await? {
        CaRetirement::Done { revoked } => {
            registry.close().await;
            ca::retire(&directory)?;
            writeln!(
                out,
                "the CA {} is not trusted any more; {revoked} certificates of it are revoked",
                old.name
            )?;
            Ok(())
        }
        CaRetirement::WouldCutOff { lampposts, department_certificates } => {
            let behind = registry.behind(&present.key).await?;
            let departments = registry.departments_behind(&present.key, now).await?;
            registry.close().await;
            tell_behind(&behind, &departments, now, out)?;
            anyhow::bail!(
                "{lampposts} lampposts would be cut off and have to be enrolled anew, and {department_certificates} \
                 certificates of departments would be good no more: wait until lampposts have followed, revoke the \
                 certificates of those that never will, give departments other ones and end these, or use --force"
            )
        }
    }
}

async fn encrypt(args: &CaEncryptArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let by = Passphrase::read_for_encryption(&args.passphrase_file)?;
    let directory = args.data.join(Authority::DIRECTORY_NAME);
    ca::encrypt(&directory, args.ca_key.passphrase()?.as_ref(), Some(&by))?;
    let file = args.passphrase_file.display();
    writeln!(out, "the key of the CA is encrypted: start the server with --ca-passphrase-file {file}")?;
    writeln!(out, "keep the passphrase where the server's backups are not; without it there is no CA")?;
    tell_audit(&args.data, Action::AuthorityKeyEncrypted, now).await
}

async fn decrypt(args: &CaRotateArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let directory = args.data.join(Authority::DIRECTORY_NAME);
    ca::encrypt(&directory, args.ca_key.passphrase()?.as_ref(), None)?;
    writeln!(
        out,
        "the key of the CA is not encrypted any more: whoever reads {} has it",
        directory.display()
    )?;
    tell_audit(&args.data, Action::AuthorityKeyDecrypted, now).await
}

async fn tell_audit(data: &std::path::Path, action: Action, now: UtcMillis) -> anyhow::Result<()> {
    let Overview { present, .. } = ca::look(&data.join(Authority::DIRECTORY_NAME))?;
    let registry = Registry::open(&registry_in(data)?).await?;
    let subject = Subject::Authority(Digest::of(&present.der));
    registry.audit(&Entry::new(now, operator(), action, subject)).await?;
    registry.close().await;
    Ok(())
}

fn describe(what: &str, authority: &AuthorityCertificate, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{what} {}", authority.name)?;
    writeln!(out, "  SHA-256     {}", Digest::of(&authority.der))?;
    writeln!(out, "  good until  {}", Date(authority.not_after))
}

fn tell_behind(
    behind: &[Behind],
    departments: &[DepartmentCertificate],
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if !departments.is_empty() {
        writeln!(
            out,
            "{} certificates of departments are the old CA's, and are changed by hand:",
            departments.len()
        )?;
    }
    for DepartmentCertificate { serial, department, not_after, .. } in departments.iter().take(MOST_NAMED) {
        writeln!(out, "  {department:<12}  {serial}  {}", Date(*not_after))?;
    }
    if departments.len() > MOST_NAMED {
        writeln!(out, "  … and {} more", departments.len() - MOST_NAMED)?;
    }
    if behind.is_empty() {
        let then = if departments.is_empty() { ": the old CA can be retired" } else { "" };
        writeln!(out, "every lamppost has followed{then}")?;
        return Ok(());
    }
    let dark = behind.iter().filter(|behind| behind.good_until < now).count();
    writeln!(
        out,
        "{} lampposts trust only the old CA, as far as is known; the certificates of {dark} of them have ended:",
        behind.len()
    )?;
    for Behind { lamppost, good_until } in behind.iter().take(MOST_NAMED) {
        writeln!(out, "  {lamppost:<12}  {}", Date(*good_until))?;
    }
    if behind.len() > MOST_NAMED {
        writeln!(out, "  … and {} more", behind.len() - MOST_NAMED)?;
    }
    Ok(())
}

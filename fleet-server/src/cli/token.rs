//! `token`: one-time tokens are made, listed and ended, beside a running server or without one.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::operator::operator;
use crate::ca::{Authority, Date, authority_fingerprint};
use crate::est::{Hours, Token};
use crate::registry::{Registry, RegistryError, TokenEnding, TokenId, TokenRecord};

/// Tokens that a list shows: as many as somebody reads, and more than are made in a day.
const LISTED: u32 = 200;

const CREATE_HELP: &str = "\
The token is printed once and kept nowhere: what is stored does not tell it. The first lamppost that uses it makes its own key, and from then on the token is good for that key alone. Hyphens and spaces need not be typed, nor capital letters.

Example:
  fleet-server token create DF3637 --hours 8 --data /var/lib/lamplighter";

/// What can be done about tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token for a registered lamppost, and print it
    #[command(after_help = CREATE_HELP)]
    Create(CreateArgs),
    /// Show the newest tokens, and what became of them
    List(ListArgs),
    /// End a token: nobody is enrolled by it any more
    End(EndArgs),
}

/// Which token to make.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// Official number of the lamppost
    pub number: LamppostNumber,
    /// For how many hours the token is good, up to 720
    #[arg(long, value_name = "N", default_value_t = Hours::default())]
    pub hours: Hours,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which tokens to show.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which token to end.
#[derive(Debug, Clone, Args)]
pub struct EndArgs {
    /// Its name, as `token list` shows it
    #[arg(value_name = "ID")]
    pub id: TokenId,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// `token`: makes, lists and ends tokens.
///
/// # Errors
/// When the lamppost is not registered, there is no such token, or the registry fails.
pub async fn tokens(command: &TokenCommand, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let data = match command {
        TokenCommand::Create(CreateArgs { data, .. })
        | TokenCommand::List(ListArgs { data })
        | TokenCommand::End(EndArgs { data, .. }) => data,
    };
    let registry = Registry::open(&data.join(Registry::FILE_NAME)).await?;
    let done = match command {
        TokenCommand::Create(args) => create(&registry, args, now, out).await,
        TokenCommand::List(_) => list(&registry, now, out).await,
        TokenCommand::End(args) => end(&registry, args.id, now, out).await,
    };
    registry.close().await;
    done
}

async fn create(
    registry: &Registry,
    args: &CreateArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (number, token) = (&args.number, Token::generate()?);
    let expires = args.hours.after(now);
    let id = match registry.create_token(number, &token.digest(), (now, expires), &operator()).await {
        Err(RegistryError::NotRegistered { .. }) => {
            bail!("lamppost {number} is not registered: add it with `fleet-server lamppost import FILE`")
        }
        created => created.context("no token was made")?,
    };
    tell_installer((number, id), &token, expires, &args.data, out)
}

/// Prints a new token, and what an installer types on the lamppost.
pub(super) fn tell_installer(
    (number, id): (&LamppostNumber, TokenId),
    token: &Token,
    expires: UtcMillis,
    data: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let text = token.expose();
    writeln!(out, "token {id} for lamppost {number}, good until {}, for one key", Date(expires))?;
    writeln!(out, "  {text}")?;
    writeln!(out, "on the lamppost, if the fleet's ca.pem is there:")?;
    writeln!(out, "  edge-agent enrol --config FILE --token {text}")?;
    // Without a CA no server has run here yet.
    if let Some(ca) = authority_fingerprint(&data.join(Authority::DIRECTORY_NAME))? {
        writeln!(
            out,
            "if it is not, with the token in a file, which is safer where others use the lamppost:"
        )?;
        writeln!(out, "  edge-agent enrol --config FILE --token-file FILE --ca-sha256 {ca}")?;
    }
    Ok(())
}

async fn list(registry: &Registry, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let tokens = registry.tokens(LISTED).await?;
    if tokens.is_empty() {
        writeln!(out, "there are no tokens")?;
        return Ok(());
    }
    writeln!(
        out,
        "{:<6} {:<32} {:<8} {:<20} {:<20} certificates",
        "token", "lamppost", "is", "made", "until"
    )?;
    for token in tokens {
        let TokenRecord { id, lamppost, created, expires, certificates, .. } = &token;
        let (created, expires) = (Date(*created), Date(*expires));
        let (id, lamppost) = (id.to_string(), lamppost.as_str());
        let is = token.state(now).as_str();
        writeln!(out, "{id:<6} {lamppost:<32} {is:<8} {created:<20} {expires:<20} {certificates}")?;
    }
    Ok(())
}

async fn end(registry: &Registry, id: TokenId, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    match registry.end_token(id, now, &operator()).await? {
        TokenEnding::Ended(token) => {
            writeln!(out, "token {id} of lamppost {} is ended", token.lamppost)?;
            if token.certificates > 0 {
                writeln!(out, "it was used: the certificates that were issued for it stay good")?;
            }
        }
        TokenEnding::WasEnded(token) => {
            writeln!(out, "token {id} of lamppost {} was ended already", token.lamppost)?;
        }
        TokenEnding::Unknown => bail!("there is no token {id}: see `fleet-server token list`"),
    }
    Ok(())
}

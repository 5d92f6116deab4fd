//! One-time tokens: what the registry knows of them.

use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;

use super::certificate::hex;
use super::life::in_service;
use super::{Registry, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};
use crate::ca::KeyDigest;

/// A token that was made. The token itself is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// By what people name it.
    pub id: TokenId,
    /// The lamppost that it enrols.
    pub lamppost: LamppostNumber,
    /// When it was made.
    pub created: UtcMillis,
    /// From when on it is good no more.
    pub expires: UtcMillis,
    /// When somebody ended it, if so.
    pub ended: Option<UtcMillis>,
    /// The only key that it is good for, once it was used.
    pub key: Option<KeyDigest>,
    /// How many certificates it was used for.
    pub certificates: u32,
}

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Nobody has used it yet.
    Waiting,
    /// A lamppost has used it: it is good for that one's key alone.
    Used,
    /// Its time is over, and nobody has used it.
    Expired,
    /// Somebody has ended it.
    Ended,
}

/// Names a token among people: 1, 2, 3 and so on. Not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(u32);

/// SHA-256 of a token. Who has it has no token, and yet it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenDigest(Box<str>);

/// What became of the end of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenEnding {
    /// It is good no more.
    Ended(TokenRecord),
    /// Somebody had ended it.
    WasEnded(TokenRecord),
    /// There is none of this name.
    Unknown,
}

impl TokenRecord {
    /// What became of it.
    pub fn state(&self, now: UtcMillis) -> TokenState {
        match self {
            Self { ended: Some(_), .. } => TokenState::Ended,
            Self { key: Some(_), .. } => TokenState::Used,
            Self { expires, .. } if *expires <= now => TokenState::Expired,
            Self { .. } => TokenState::Waiting,
        }
    }
}

impl TokenState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

impl TokenId {
    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }

    pub(super) fn as_i64(self) -> i64 {
        self.0.into()
    }
}

impl TokenDigest {
    /// The digest of a token's bytes.
    pub fn of(token: &[u8]) -> Self {
        Self(hex(&Sha256::digest(token)).into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for TokenId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.parse().map_err(|_| "a token is named by a number: see `token list`".to_owned())?;
        Ok(Self(id))
    }
}

type Row = (i64, String, i64, i64, Option<i64>, Option<String>, i64);

impl Registry {
    /// Records a new token of a lamppost, also in the audit. It is on disk when this returns.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`], [`RegistryError::Retired`] or [`RegistryError::Write`].
    pub async fn create_token(
        &self,
        lamppost: &LamppostNumber,
        digest: &TokenDigest,
        (created, expires): (UtcMillis, UtcMillis),
        by: &Actor,
    ) -> Result<TokenId, RegistryError> {
        let mut transaction = self.begin().await.map_err(writing)?;
        in_service(&mut transaction, lamppost).await?;
        let id = self.insert_token(&mut transaction, lamppost, digest, (created, expires), by).await?;
        transaction.commit().await.map_err(writing)?;
        Ok(id)
    }

    /// The same as part of a transaction, of a lamppost that is in service.
    pub(super) async fn insert_token(
        &self,
        transaction: &mut SqliteConnection,
        lamppost: &LamppostNumber,
        digest: &TokenDigest,
        (created, expires): (UtcMillis, UtcMillis),
        by: &Actor,
    ) -> Result<TokenId, RegistryError> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO tokens (id, lamppost, digest, created, expires, certificates)
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, 0 FROM tokens
             RETURNING id",
        )
        .bind(lamppost.as_str())
        .bind(digest.as_str())
        .bind(created.0)
        .bind(expires.0)
        .fetch_one(&mut *transaction)
        .await
        .map_err(writing)?;
        let id = self.token_id(id)?;
        let entry = Entry::new(created, by.clone(), Action::TokenCreated, Subject::Token(id))
            .text("lamppost", lamppost)
            .number("expires_ms", expires.0);
        audit::append(transaction, &entry).await.map_err(writing)?;
        Ok(id)
    }

    /// Ends all tokens of a lamppost that nobody has ended, as part of a transaction; how many.
    pub(super) async fn end_all(
        &self,
        transaction: &mut SqliteConnection,
        lamppost: &LamppostNumber,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<u64, RegistryError> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "UPDATE tokens SET ended = $2 WHERE lamppost = $1 AND ended IS NULL RETURNING id",
        )
        .bind(lamppost.as_str())
        .bind(now.0)
        .fetch_all(&mut *transaction)
        .await
        .map_err(writing)?;
        for id in &ids {
            let entry = Entry::new(now, by.clone(), Action::TokenEnded, Subject::Token(self.token_id(*id)?))
                .text("lamppost", lamppost);
            audit::append(transaction, &entry).await.map_err(writing)?;
        }
        Ok(ids.len() as u64)
    }

    /// The token with this digest, if there is one. It is found by what was made of it, which nobody can choose byte by
    /// byte: so the time that this takes tells nothing of the tokens that there are.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn token(&self, digest: &TokenDigest) -> Result<Option<TokenRecord>, RegistryError> {
        let query = sqlx::query_as(
            "SELECT id, lamppost, created, expires, ended, key, certificates FROM tokens WHERE digest = $1",
        );
        let row: Option<Row> =
            query.bind(digest.as_str()).fetch_optional(self.readers()).await.map_err(reading)?;
        row.map(|row| self.token_of(row)).transpose()
    }

    /// The newest tokens, at most so many, the newest first.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn tokens(&self, most: u32) -> Result<Vec<TokenRecord>, RegistryError> {
        self.tokens_before(None, None, most).await
    }

    /// The newest tokens of one lamppost or of all, at most so many, the newest first, from the first that is older than
    /// the given one on.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn tokens_before(
        &self,
        of: Option<&LamppostNumber>,
        before: Option<TokenId>,
        most: u32,
    ) -> Result<Vec<TokenRecord>, RegistryError> {
        let query = sqlx::query_as(
            "SELECT id, lamppost, created, expires, ended, key, certificates FROM tokens
             WHERE id < $1 AND ($2 IS NULL OR lamppost = $2) ORDER BY id DESC LIMIT $3",
        );
        let query = query.bind(before.map_or(i64::MAX, TokenId::as_i64));
        let query = query.bind(of.map(LamppostNumber::as_str)).bind(i64::from(most));
        let rows: Vec<Row> = query.fetch_all(self.readers()).await.map_err(reading)?;
        rows.into_iter().map(|row| self.token_of(row)).collect()
    }

    /// Ends a token, and says so in the audit: it enrols nobody from now on. Certificates that it was used for stay as
    /// they are.
    ///
    /// # Errors
    /// [`RegistryError::Write`] or [`RegistryError::Damaged`]; nothing is changed then.
    pub async fn end_token(
        &self,
        id: TokenId,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<TokenEnding, RegistryError> {
        let writing = |source| RegistryError::Write { what: "the end of a token", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let query = sqlx::query_as(
            "SELECT id, lamppost, created, expires, ended, key, certificates FROM tokens WHERE id = $1",
        );
        let row: Option<Row> =
            query.bind(id.as_i64()).fetch_optional(&mut *transaction).await.map_err(writing)?;
        let Some(row) = row else { return Ok(TokenEnding::Unknown) };
        let record = self.token_of(row)?;
        if record.ended.is_some() {
            return Ok(TokenEnding::WasEnded(record));
        }
        sqlx::query("UPDATE tokens SET ended = $2 WHERE id = $1")
            .bind(id.as_i64())
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(writing)?;
        let entry = Entry::new(now, by.clone(), Action::TokenEnded, Subject::Token(id))
            .text("lamppost", &record.lamppost);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(TokenEnding::Ended(TokenRecord { ended: Some(now), ..record }))
    }

    fn token_of(&self, row: Row) -> Result<TokenRecord, RegistryError> {
        let (id, lamppost, created, expires, ended, key, certificates) = row;
        let damaged = || self.damaged("token", &id.to_string());
        Ok(TokenRecord {
            id: self.token_id(id)?,
            lamppost: LamppostNumber::new(&lamppost).map_err(|_| damaged())?,
            created: UtcMillis(created),
            expires: UtcMillis(expires),
            ended: ended.map(UtcMillis),
            key: key.map(|key| key.parse().map_err(|_| damaged())).transpose()?,
            certificates: u32::try_from(certificates).map_err(|_| damaged())?,
        })
    }

    fn token_id(&self, id: i64) -> Result<TokenId, RegistryError> {
        u32::try_from(id).map(TokenId).map_err(|_| self.damaged("token", &id.to_string()))
    }
}

fn writing(source: sqlx::Error) -> RegistryError {
    RegistryError::Write { what: "a token", source }
}

fn reading(source: sqlx::Error) -> RegistryError {
    RegistryError::Read { what: "tokens", source }
}

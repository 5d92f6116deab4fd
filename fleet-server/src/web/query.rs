//! Parameters of path and query, parsed at the door: handlers see types that cannot be wrong, and what is wrong is
//! refused by name.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;

use super::problem::{Problem, ProblemKind};

/// What an operation takes from the query.
pub(super) trait FromParameters: Sized {
    /// Takes each parameter that the operation knows. Whatever is left is refused.
    fn take(from: &mut Parameters) -> Result<Self, Problem>;
}

/// The parameters of a query that no one has taken yet.
#[derive(Debug)]
pub(super) struct Parameters {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
}

/// The query of a request as `T`.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

/// What an operation takes from the path.
pub(super) trait FromPath: Sized {
    /// Parses the parameters that the path of the operation names.
    fn take(from: &PathParameters) -> Result<Self, Problem>;
}

/// The parameters in the path of a request.
#[derive(Debug)]
pub(super) struct PathParameters(Vec<(String, String)>);

/// The parameters in the path of a request as `T`.
#[derive(Debug)]
pub(super) struct InPath<T>(pub(super) T);

/// The query of an operation that takes none.
#[derive(Debug)]
pub(super) struct NoParameters;

impl FromParameters for NoParameters {
    fn take(_from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl Parameters {
    fn new(given: Vec<(String, String)>) -> Self {
        Self { given, known: Vec::new() }
    }

    /// The parameter of this name, if it is given.
    pub(super) fn optional<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        self.known.push(name);
        let mut found: Vec<(String, String)> =
            self.given.extract_if(.., |(given, _)| given == name).collect();
        let Some((_, text)) = found.pop() else { return Ok(None) };
        if !found.is_empty() {
            return Err(Problem::invalid(name, format!("{name} stands more than once in the query")));
        }
        let refused =
            |error| Problem::invalid(name, format!("{name} cannot be {:?}: {error}", shortened(&text)));
        parse(&text).map(Some).map_err(refused)
    }

    /// Refuses a parameter that does not go together with another one.
    pub(super) fn absent(&self, name: &'static str, with: &str, because: &str) -> Result<(), Problem> {
        if self.given.iter().any(|(given, _)| given == name) {
            return Err(Problem::invalid(
                name,
                format!("{name} does not go together with {with}: {because}"),
            ));
        }
        Ok(())
    }

    /// How many things an answer may hold.
    pub(super) fn limit(&mut self, default: u32, most: u32) -> Result<u32, Problem> {
        let parse = |text: &str| match text.parse::<u32>() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            Ok(_) | Err(_) => Err(format!("it is a whole number from 1 to {most}")),
        };
        Ok(self.optional("limit", parse)?.unwrap_or(default))
    }

    fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.given.first() else { return Ok(()) };
        let name = shortened(name);
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        let detail = format!("there is no query parameter {name:?} here; those that there are: {known}");
        Err(Problem::new(ProblemKind::UnknownParameter, detail).with_parameter(&name))
    }
}

impl<S: Sync, T: FromParameters> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::new(ProblemKind::InvalidParameter, error.body_text()))?;
        let mut parameters = Parameters::new(query.0);
        let asked = T::take(&mut parameters)?;
        parameters.finish()?;
        Ok(Self(asked))
    }
}

impl PathParameters {
    /// The parameter of this name.
    pub(super) fn get<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Problem> {
        let text = self.0.iter().find(|(given, _)| given == name).map(|(_, text)| text.as_str());
        // Without the name an operation would not be described by its path, which a test shows.
        let text =
            text.ok_or_else(|| Problem::new(ProblemKind::Internal, format!("the path has no {name}")))?;
        text.parse().map_err(|error| Problem::invalid(name, format!("{error}")))
    }
}

impl<S: Send + Sync, T: FromPath + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Path(parameters) = path.map_err(refused_path)?;
        T::take(&PathParameters(parameters)).map(Self)
    }
}

fn refused_path(rejection: PathRejection) -> Problem {
    let text = rejection.body_text();
    if let PathRejection::FailedToDeserializePathParams(failed) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = failed.into_kind()
    {
        return Problem::invalid(&key, "it is not UTF-8");
    }
    Problem::new(ProblemKind::Internal, text)
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(given: &[(&str, &str)]) -> Parameters {
        Parameters::new(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_nobody_took_is_refused_by_name_with_those_that_there_are() {
        let mut asked = parameters(&[("limit", "5"), ("colour", "red")]);
        assert_eq!(asked.limit(10, 100), Ok(5));
        let problem = asked.finish().unwrap_err();
        let detail = "there is no query parameter \"colour\" here; those that there are: limit";
        let expected = Problem::new(ProblemKind::UnknownParameter, detail).with_parameter("colour");
        assert_eq!(problem, expected);
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        let problem = parameters(&[("limit", "5"), ("limit", "6")]).limit(10, 100).unwrap_err();
        assert_eq!(problem, Problem::invalid("limit", "limit stands more than once in the query"));
    }

    #[test]
    fn limits_outside_of_their_range_are_refused() {
        for text in ["", "0", "101", "-1", "5x", "99999999999"] {
            assert!(parameters(&[("limit", text)]).limit(10, 100).is_err(), "{text:?}");
        }
        assert_eq!(parameters(&[]).limit(10, 100), Ok(10));
    }
}

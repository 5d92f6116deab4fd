//! The kinds of problems that there are: what each is called, which status it has, and what it means.

use axum::http::StatusCode;

/// What kind of problem it is: decides the `type`, the title and the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProblemKind {
    UnknownParameter,
    InvalidParameter,
    EmptyRange,
    RangeTooLong,
    TooManyBuckets,
    Unauthorised,
    NotFound,
    UnknownLamppost,
    UnknownSeries,
    UnknownOutbox,
    UnknownDepartment,
    UnknownKey,
    UnknownGrant,
    UnknownToken,
    UnknownCertificate,
    UnknownProblem,
    ForeignOrigin,
    OutboxState,
    TakenAlready,
    TooMany,
    LamppostState,
    MethodNotAllowed,
    NotAcceptable,
    ImportRunning,
    OlderThanTail,
    BodyNotTaken,
    BodyTooLarge,
    InvalidList,
    RangeNotSatisfiable,
    ForeignHost,
    HttpTooOld,
    Internal,
    Rebuilding,
    Unhealthy,
    TooManyClients,
    TooSlow,
    TooMuchUnread,
    RegistryUnavailable,
    BasemapUnreadable,
}

impl ProblemKind {
    /// All kinds, by status.
    pub(super) const ALL: [Self; 39] = [
        Self::UnknownParameter,
        Self::InvalidParameter,
        Self::EmptyRange,
        Self::RangeTooLong,
        Self::TooManyBuckets,
        Self::Unauthorised,
        Self::NotFound,
        Self::UnknownLamppost,
        Self::ForeignOrigin,
        Self::UnknownSeries,
        Self::UnknownOutbox,
        Self::UnknownDepartment,
        Self::UnknownKey,
        Self::UnknownGrant,
        Self::UnknownToken,
        Self::UnknownCertificate,
        Self::UnknownProblem,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::OutboxState,
        Self::TakenAlready,
        Self::TooMany,
        Self::ImportRunning,
        Self::LamppostState,
        Self::OlderThanTail,
        Self::BodyNotTaken,
        Self::BodyTooLarge,
        Self::RangeNotSatisfiable,
        Self::ForeignHost,
        Self::InvalidList,
        Self::HttpTooOld,
        Self::Internal,
        Self::Rebuilding,
        Self::Unhealthy,
        Self::TooManyClients,
        Self::TooSlow,
        Self::TooMuchUnread,
        Self::RegistryUnavailable,
        Self::BasemapUnreadable,
    ];

    /// The end of its `type`.
    pub(super) fn name(self) -> &'static str {
        self.name_and_title().0
    }

    pub(super) fn title(self) -> &'static str {
        self.name_and_title().1
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::UnknownParameter
            | Self::InvalidParameter
            | Self::EmptyRange
            | Self::RangeTooLong
            | Self::TooManyBuckets => StatusCode::BAD_REQUEST,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NotFound
            | Self::UnknownLamppost
            | Self::UnknownSeries
            | Self::UnknownOutbox
            | Self::UnknownDepartment
            | Self::UnknownKey
            | Self::UnknownGrant
            | Self::UnknownToken
            | Self::UnknownCertificate
            | Self::UnknownProblem => StatusCode::NOT_FOUND,
            Self::OutboxState
            | Self::LamppostState
            | Self::TakenAlready
            | Self::TooMany
            | Self::ImportRunning => StatusCode::CONFLICT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::OlderThanTail => StatusCode::GONE,
            Self::BodyNotTaken | Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InvalidList => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::HttpTooOld => StatusCode::UPGRADE_REQUIRED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Rebuilding
            | Self::Unhealthy
            | Self::TooManyClients
            | Self::TooSlow
            | Self::TooMuchUnread
            | Self::RegistryUnavailable
            | Self::BasemapUnreadable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn type_uri(self) -> String {
        format!("/problems/{}", self.name())
    }

    fn name_and_title(self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownParameter => ("unknown-parameter", "A query parameter is not known here"),
            Self::InvalidParameter => ("invalid-parameter", "A parameter breaks its rule"),
            Self::EmptyRange => ("empty-range", "The range of time is empty"),
            Self::RangeTooLong => ("range-too-long", "The range holds too much for one answer"),
            Self::TooManyBuckets => ("too-many-buckets", "The step makes too many buckets"),
            Self::Unauthorised => ("unauthorised", "The token is missing or wrong"),
            Self::NotFound => ("not-found", "There is nothing at this path"),
            Self::UnknownLamppost => ("unknown-lamppost", "The lamppost is not registered"),
            Self::UnknownSeries => ("unknown-series", "The lamppost has no such series"),
            Self::UnknownOutbox => ("unknown-outbox", "The lamppost has no such outbox"),
            Self::UnknownDepartment => ("unknown-department", "There is no such department"),
            Self::UnknownKey => ("unknown-key", "The department has no such key"),
            Self::UnknownGrant => ("unknown-grant", "The department has no such grant"),
            Self::TakenAlready => ("taken-already", "This is there already"),
            Self::TooMany => ("too-many", "There are as many of these as the server allows"),
            Self::UnknownToken => ("unknown-token", "There is no such token"),
            Self::UnknownCertificate => ("unknown-certificate", "No such certificate was issued"),
            Self::ForeignOrigin => ("foreign-origin", "The request was made by a page of another origin"),
            Self::OutboxState => ("outbox-state", "The outbox is not in a state for this"),
            Self::ImportRunning => ("import-running", "Another list is being imported"),
            Self::BodyTooLarge => ("body-too-large", "The list is too long"),
            Self::InvalidList => ("invalid-list", "The list of lampposts is not accepted"),
            Self::LamppostState => ("lamppost-state", "The lamppost is not in a state for this"),
            Self::UnknownProblem => ("unknown-problem", "There is no such kind of problem"),
            Self::MethodNotAllowed => ("method-not-allowed", "The path does not take this method"),
            Self::NotAcceptable => ("not-acceptable", "The client takes no coding that there is"),
            Self::OlderThanTail => {
                ("older-than-tail", "The time is older than what the server holds in memory")
            }
            Self::BodyNotTaken => ("body-not-taken", "The request has a body"),
            Self::RangeNotSatisfiable => ("range-not-satisfiable", "The range of bytes cannot be served"),
            Self::ForeignHost => ("foreign-host", "The request was meant for another host"),
            Self::HttpTooOld => ("http-too-old", "The answer needs HTTP/1.1"),
            Self::Internal => ("internal", "The server made a mistake"),
            Self::Rebuilding => ("rebuilding", "The server is still reading its journal"),
            Self::Unhealthy => ("unhealthy", "A part of the server has failed"),
            Self::TooManyClients => ("too-many-clients", "There are as many live feeds as the server allows"),
            Self::TooSlow => ("too-slow", "The answer took too long"),
            Self::TooMuchUnread => ("too-much-unread", "Other clients have not taken their answers yet"),
            Self::RegistryUnavailable => {
                ("registry-unavailable", "The registry of lampposts does not answer")
            }
            Self::BasemapUnreadable => ("basemap-unreadable", "The map's file cannot be read"),
        }
    }

    /// When it happens and what helps, in general.
    #[expect(clippy::too_many_lines, reason = "a text for each kind, and nothing else")]
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::UnknownParameter => {
                "The query has a parameter that this operation does not have. It is refused, for an answer without \
                 it might not be the answer that was asked for."
            }
            Self::InvalidParameter => {
                "A parameter of path or query is not what it should be, stands twice, or does not go together with \
                 another one. `parameter` names it, `detail` says the rule."
            }
            Self::EmptyRange => "`from` is not before `to`. A range takes in `from` and leaves out `to`.",
            Self::RangeTooLong => {
                "To count what became of everything, the server looks at each observation of the range, and at so many in \
                 one answer. Ask for a shorter range, or for one series."
            }
            Self::TooManyBuckets => {
                "The range of time divided by the step is more than one answer holds. Take a longer step or a \
                 shorter range."
            }
            Self::Unauthorised => {
                "At its start the server prints a link with a token that is good until it stops. Opening the link \
                 in a browser logs it in; a tool sends the token in the header `Authorization: Bearer TOKEN`."
            }
            Self::NotFound => {
                "No operation has this path. /api/v1/openapi.json describes all that there are."
            }
            Self::UnknownLamppost => {
                "No lamppost of the fleet has this number. /api/v1/lampposts lists those that there are; `lamppost \
                 import` registers more."
            }
            Self::UnknownSeries => {
                "The lamppost is registered, but has never described a series of this device, property and channel. \
                 /api/v1/lampposts/{number}/series lists those that it has."
            }
            Self::UnknownOutbox => {
                "The lamppost has never told of an outbox of this id, or the server has forgotten it. \
                 /api/v1/lampposts/{number}/outboxes lists those that it knows."
            }
            Self::UnknownDepartment => {
                "No department has this name, or it has ended. /api/v1/departments lists those that there are."
            }
            Self::UnknownKey => {
                "The department never had a key of this number, or it is ended. /api/v1/departments lists those that are good."
            }
            Self::UnknownGrant => {
                "The department never had a grant of this number, or it is withdrawn. /api/v1/departments lists those that it has."
            }
            Self::TakenAlready => {
                "A department's name is given once, also after it has ended, for the audit knows it; and what is granted already \
                 is not granted twice. `detail` says which."
            }
            Self::TooMany => {
                "What everybody waits for is bounded: departments, and keys, certificates and grants of each. End what is not needed any more."
            }
            Self::UnknownToken => {
                "No token of this name was ever made here. /api/v1/tokens lists those that were."
            }
            Self::UnknownCertificate => {
                "No certificate with this serial number was issued by this server's CA, or none that the department still has. \
                 /api/v1/certificates lists those of lampposts, /api/v1/departments those of departments."
            }
            Self::ImportRunning => {
                "A list of a whole city takes memory and seconds, so one is taken at a time. Send yours once that is done."
            }
            Self::BodyTooLarge => {
                "A list of lampposts is some megabytes, and what is much longer is no list of lampposts. Send it in parts, or \
                 import it on the server's own machine with `lamppost import`."
            }
            Self::InvalidList => {
                "Nothing of the list was stored. `errors` names what is wrong, with line and field; `errors_count` says how \
                 much it is. Mend all of it and send the list again."
            }
            Self::ForeignOrigin => {
                "What decides something is taken from the console's own page and from tools, which send no Origin."
            }
            Self::OutboxState => {
                "`detail` says why. What can be released is set aside and of the same number, or silent or closed; what can be \
                 closed is not the outbox that speaks; and nothing about it waits for the lamppost."
            }
            Self::LamppostState => {
                "`detail` says why. A retired lamppost is revived first (`fleet-server lamppost revive`); one that is moved \
                 stands elsewhere afterwards."
            }
            Self::UnknownProblem => "This version of the server has no problem of this name.",
            Self::MethodNotAllowed => {
                "What is read is read with GET (or HEAD); what decides something takes POST, or DELETE. /api/v1/openapi.json says \
                 which operation takes which."
            }
            Self::NotAcceptable => {
                "The files of the console are kept compressed only, with br and gzip, and the header Accept-Encoding \
                 excludes both. Every browser takes them."
            }
            Self::OlderThanTail => {
                "The server answers from the newest observations, as many as its memory is allowed to hold. What is \
                 older is in the journal on disk and is not lost, but cannot be asked for. `floor` is the earliest \
                 time that can be asked for; it moves on as observations arrive."
            }
            Self::BodyNotTaken => {
                "Only the import of lampposts takes a body: all other parameters are in path and query."
            }
            Self::RangeNotSatisfiable => {
                "One range of bytes that begins within the file is served at a time; Content-Range says how many bytes \
                 there are. Without the header Range the whole file is sent."
            }
            Self::ForeignHost => {
                "The server is only for this machine, and answers only requests whose Host is localhost, 127.0.0.1 \
                 or [::1]: a page from elsewhere whose name was pointed at this machine is kept out."
            }
            Self::HttpTooOld => {
                "An answer that is sent as it is read may break off, and in HTTP/1.0 what broke off looks like what is \
                 whole. Ask with HTTP/1.1. If your client does that, a proxy between it and the server does not: let it \
                 pass requests on with HTTP/1.1."
            }
            Self::Internal => "A rule of the server's own was broken. Its log says which one.",
            Self::Rebuilding => {
                "After a start the server reads its journal to know what it holds. Until it is done, an answer would \
                 be incomplete, so there is none. /readyz says how far it has come."
            }
            Self::Unhealthy => {
                "A part on the path of observations does not work: lampposts keep what they read until it does. \
                 `detail` names the part, the log says why."
            }
            Self::TooManyClients => {
                "Each live feed takes memory and time from the others, so their number is bounded. Close one and \
                 try again."
            }
            Self::TooSlow => {
                "The server did not come to an answer in its time limit, and has given up. Ask for less, or later."
            }
            Self::TooMuchUnread => {
                "Long answers are kept in memory until their clients have taken them, and there is a bound on all of \
                 them together. A client that does not take its own within a minute is cut, so ask again."
            }
            Self::RegistryUnavailable => {
                "The registry could not be read. Observations are taken in all the same. The log says why."
            }
            Self::BasemapUnreadable => {
                "The file that the server was started with (--basemap) is not there any more, or is no map. All the \
                 rest works. The log says why; once the file is back, it is served."
            }
        }
    }
}

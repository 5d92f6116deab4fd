-- One-time tokens, by which a lamppost that has no certificate yet is given one. What is stored is the SHA-256 of the
-- token (64 hexadecimal digits) and, once it is used, that of the public key that it is bound to from then on.
CREATE TABLE tokens (
    id           BIGINT NOT NULL PRIMARY KEY,
    lamppost     TEXT   NOT NULL REFERENCES lampposts (number),
    digest       TEXT   NOT NULL UNIQUE,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    ended        BIGINT,
    key          TEXT,
    certificates BIGINT NOT NULL
);

-- The public key of each certificate whose key the lamppost has made itself: whoever asks again with the same key did not
-- get the answer.
CREATE TABLE certificate_keys (
    serial TEXT NOT NULL PRIMARY KEY REFERENCES certificates (serial),
    key    TEXT NOT NULL
);

-- Column types are those that SQLite and PostgreSQL share: DOUBLE PRECISION, TEXT, and BIGINT for times (ms UTC).

CREATE TABLE lampposts (
    number    TEXT             NOT NULL PRIMARY KEY,
    latitude  DOUBLE PRECISION NOT NULL,
    longitude DOUBLE PRECISION NOT NULL,
    road      TEXT             NOT NULL,
    district  TEXT             NOT NULL,
    feeder    TEXT,
    pillar    TEXT,
    height_m  DOUBLE PRECISION,
    remarks   TEXT,
    created   BIGINT           NOT NULL,
    changed   BIGINT           NOT NULL
);

-- A certificate that was issued is never deleted, and so neither is a lamppost that has one.
CREATE TABLE certificates (
    serial    TEXT   NOT NULL PRIMARY KEY,
    lamppost  TEXT   NOT NULL REFERENCES lampposts (number),
    issued    BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked   BIGINT
);

CREATE INDEX certificates_of_lamppost ON certificates (lamppost, issued);

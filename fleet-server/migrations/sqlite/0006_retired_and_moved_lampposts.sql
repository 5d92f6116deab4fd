-- A lamppost that is taken down is retired, never deleted: its data stay readable, and its number stays its own.
ALTER TABLE lampposts ADD COLUMN retired BIGINT;
ALTER TABLE lampposts ADD COLUMN retired_because TEXT;

-- Where a lamppost stood before it was moved, and until when; where it stands now is in `lampposts`.
CREATE TABLE former_sites (
    lamppost  TEXT             NOT NULL REFERENCES lampposts (number),
    until     BIGINT           NOT NULL,
    latitude  DOUBLE PRECISION NOT NULL,
    longitude DOUBLE PRECISION NOT NULL,
    road      TEXT             NOT NULL,
    district  TEXT             NOT NULL,
    feeder    TEXT,
    pillar    TEXT,
    PRIMARY KEY (lamppost, until)
);

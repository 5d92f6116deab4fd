-- What was done, by whom and when; each record names the hash of the one before it (src/audit/chain.rs, docs/audit.md).
-- `detail` is a JSON object, kept as the text that was hashed. STRICT: what is read back has the types that were hashed.
CREATE TABLE audit (
    sequence INTEGER NOT NULL PRIMARY KEY CHECK (sequence > 0),
    at_ms    INTEGER NOT NULL,
    actor    TEXT    NOT NULL CHECK (length(actor) <= 100),
    action   TEXT    NOT NULL CHECK (length(action) <= 100),
    subject  TEXT    NOT NULL CHECK (length(subject) <= 200),
    detail   TEXT    NOT NULL CHECK (length(detail) <= 8192),
    previous BLOB    NOT NULL CHECK (length(previous) = 32),
    hash     BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_of_subject ON audit (subject);

-- These keep an honest hand from a mistake. A dishonest one drops them first: that is what the hashes are for.
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an audit record is never changed');
END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an audit record is never deleted');
END;

-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence)
BEGIN
    SELECT RAISE(ABORT, 'an audit record is never replaced');
END;

-- The server looks for revoked certificates whenever the registry has changed. They are few.
CREATE INDEX certificates_revoked ON certificates (revoked) WHERE revoked IS NOT NULL;

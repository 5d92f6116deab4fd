-- Departments, which listen to what lampposts observe, each with its API keys and with grants, which say what it may hear.
-- What has ended stays: its name and its number are in the audit, and are not given again. Of a key the SHA-256 is stored (64
-- hexadecimal digits), and never the key itself. A filter is the text of an MQTT topic filter below highway/.
CREATE TABLE departments (
    name    TEXT   NOT NULL PRIMARY KEY,
    title   TEXT   NOT NULL,
    created BIGINT NOT NULL,
    ended   BIGINT
);

CREATE TABLE department_keys (
    id         BIGINT NOT NULL PRIMARY KEY,
    department TEXT   NOT NULL REFERENCES departments (name),
    digest     TEXT   NOT NULL UNIQUE,
    note       TEXT,
    created    BIGINT NOT NULL,
    expires    BIGINT,
    ended      BIGINT
);

CREATE INDEX department_keys_of_department ON department_keys (department);

CREATE TABLE grants (
    id         BIGINT NOT NULL PRIMARY KEY,
    department TEXT   NOT NULL REFERENCES departments (name),
    filter     TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    withdrawn  BIGINT
);

CREATE INDEX grants_of_department ON grants (department);

-- How often a part of the registry has changed, by whomever: who keeps a part in memory asks for one number, and reads the part
-- again when that is another one. Triggers count, so that no statement, and no hand, is forgotten.
CREATE TABLE part_versions (
    part    TEXT   NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

INSERT INTO part_versions (part, version) VALUES ('lampposts', 0), ('departments', 0);

CREATE TRIGGER lampposts_version_insert AFTER INSERT ON lampposts
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'lampposts'; END;
CREATE TRIGGER lampposts_version_update AFTER UPDATE ON lampposts
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'lampposts'; END;
CREATE TRIGGER lampposts_version_delete AFTER DELETE ON lampposts
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'lampposts'; END;

CREATE TRIGGER departments_version_insert AFTER INSERT ON departments
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;
CREATE TRIGGER departments_version_update AFTER UPDATE ON departments
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;
CREATE TRIGGER departments_version_delete AFTER DELETE ON departments
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;

CREATE TRIGGER department_keys_version_insert AFTER INSERT ON department_keys
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;
CREATE TRIGGER department_keys_version_update AFTER UPDATE ON department_keys
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;
CREATE TRIGGER department_keys_version_delete AFTER DELETE ON department_keys
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;

CREATE TRIGGER grants_version_insert AFTER INSERT ON grants
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;
CREATE TRIGGER grants_version_update AFTER UPDATE ON grants
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;
CREATE TRIGGER grants_version_delete AFTER DELETE ON grants
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;

-- Certificates by which departments log in to feeds, apart from those of lampposts: a serial number of the one is none of the
-- other. `authority` is the digest of the public key of the CA that has signed it (64 hexadecimal digits).
CREATE TABLE department_certificates (
    serial     TEXT   NOT NULL PRIMARY KEY,
    department TEXT   NOT NULL REFERENCES departments (name),
    issued     BIGINT NOT NULL,
    not_after  BIGINT NOT NULL,
    authority  TEXT   NOT NULL,
    ended      BIGINT
);

CREATE INDEX department_certificates_of_department ON department_certificates (department);

CREATE TRIGGER department_certificates_version_insert AFTER INSERT ON department_certificates
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;
CREATE TRIGGER department_certificates_version_update AFTER UPDATE ON department_certificates
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;
CREATE TRIGGER department_certificates_version_delete AFTER DELETE ON department_certificates
BEGIN UPDATE part_versions SET version = version + 1 WHERE part = 'departments'; END;

-- What operators have decided of outboxes, and when; nothing of it is ever changed. `id` names the command by which the
-- lamppost is told, if it is (`commanded`): 32 hexadecimal digits, as those of `outbox`.
CREATE TABLE outbox_decisions (
    id        TEXT   NOT NULL PRIMARY KEY,
    lamppost  TEXT   NOT NULL REFERENCES lampposts (number),
    outbox    TEXT   NOT NULL,
    decision  TEXT   NOT NULL,
    decided   BIGINT NOT NULL,
    operator  TEXT   NOT NULL,
    commanded BIGINT NOT NULL
);

CREATE INDEX outbox_decisions_of_lamppost ON outbox_decisions (lamppost, decided);

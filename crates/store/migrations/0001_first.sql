-- Times are nanoseconds since 1970 where nothing else is said. Nothing is ever deleted that a
-- certificate or an audit row may point to.

CREATE TABLE deployment (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    account_domain  TEXT NOT NULL,
    accounts_made   INTEGER NOT NULL DEFAULT 0,
    crl_number      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE accounts (
    sid             TEXT PRIMARY KEY,
    sip_address     TEXT NOT NULL UNIQUE,
    upn             TEXT NOT NULL,
    upn_key         TEXT NOT NULL UNIQUE,
    email           TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    title           TEXT,
    phone           TEXT,
    enabled         INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    password_hash   TEXT,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TRIGGER account_ids_never_change BEFORE UPDATE OF sid ON accounts
BEGIN SELECT RAISE(ABORT, 'account ids never change'); END;

CREATE TABLE groups (
    name                    TEXT PRIMARY KEY,
    card_required           INTEGER CHECK (card_required IN (0, 1)),
    password_allowed        INTEGER CHECK (password_allowed IN (0, 1)),
    chat_certificate_hours  INTEGER,
    card_kinds              TEXT
) STRICT;

CREATE TABLE default_policy (
    one                     INTEGER PRIMARY KEY CHECK (one = 1),
    card_required           INTEGER CHECK (card_required IN (0, 1)),
    password_allowed        INTEGER CHECK (password_allowed IN (0, 1)),
    chat_certificate_hours  INTEGER,
    card_kinds              TEXT
) STRICT;
INSERT INTO default_policy (one) VALUES (1);

CREATE TABLE members (
    group_name      TEXT NOT NULL REFERENCES groups (name),
    sid             TEXT NOT NULL REFERENCES accounts (sid),
    PRIMARY KEY (group_name, sid)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_account ON members (sid);

-- One code per account: a newer one replaces the older.
CREATE TABLE enrol_codes (
    sid             TEXT PRIMARY KEY REFERENCES accounts (sid),
    salt            BLOB NOT NULL,
    hash            BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    used_at         INTEGER,
    tries_failed    INTEGER NOT NULL,
    tries_since     INTEGER
) STRICT;

-- Certificates. The account is no foreign key: the authority is told ids and knows no directory.
CREATE TABLE certificates (
    nth             INTEGER PRIMARY KEY,
    serial          TEXT NOT NULL UNIQUE,
    profile         TEXT NOT NULL,
    account         TEXT,
    subject         TEXT NOT NULL,
    card_guid       TEXT,
    card_kind       TEXT,
    bound_to        TEXT,
    not_before      INTEGER NOT NULL,
    not_after       INTEGER NOT NULL,
    requester       TEXT NOT NULL,
    approver        TEXT NOT NULL,
    prepared_at     INTEGER NOT NULL,
    to_be_signed    BLOB NOT NULL,
    der             BLOB,
    status          TEXT NOT NULL CHECK (status IN ('prepared', 'issued', 'active', 'revoked')),
    revoked_reason  TEXT,
    revoked_at      INTEGER,
    revoked_by      TEXT,
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)),
    CHECK (der IS NOT NULL OR status IN ('prepared', 'revoked'))
) STRICT;
CREATE INDEX certificates_by_account ON certificates (account) WHERE account IS NOT NULL;
CREATE INDEX certificates_by_card ON certificates (card_guid) WHERE card_guid IS NOT NULL;
CREATE INDEX certificates_by_binding ON certificates (bound_to) WHERE bound_to IS NOT NULL;
CREATE INDEX certificates_revoked ON certificates (not_after) WHERE status = 'revoked';

CREATE TRIGGER certificates_are_never_deleted BEFORE DELETE ON certificates
BEGIN SELECT RAISE(ABORT, 'certificates are never deleted'); END;
CREATE TRIGGER revoked_certificates_stay_revoked BEFORE UPDATE ON certificates
WHEN OLD.status = 'revoked'
BEGIN SELECT RAISE(ABORT, 'revoked certificates stay revoked'); END;
CREATE TRIGGER certificates_are_completed_once BEFORE UPDATE OF
    serial, profile, account, card_guid, card_kind, bound_to, not_before, not_after, to_be_signed, der
ON certificates
WHEN OLD.der IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'certificates are completed once'); END;

CREATE TABLE current_crl (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    number          INTEGER NOT NULL,
    this_update     INTEGER NOT NULL,
    next_update     INTEGER NOT NULL,
    der             BLOB NOT NULL
) STRICT;

-- The audit trail: rows are only ever added. Times in milliseconds, as they are hashed.
CREATE TABLE audit (
    seq             INTEGER PRIMARY KEY,
    time_ms         INTEGER NOT NULL,
    actor           TEXT NOT NULL,
    action          TEXT NOT NULL,
    subject         TEXT NOT NULL,
    details         TEXT NOT NULL,
    prev_hash       BLOB NOT NULL,
    hash            BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_rows_never_change BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows never change'); END;
CREATE TRIGGER audit_rows_are_never_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;

CREATE TABLE audit_heads (
    nth             INTEGER PRIMARY KEY,
    seq             INTEGER NOT NULL,
    hash            BLOB NOT NULL,
    signed_at_ms    INTEGER NOT NULL,
    signature       BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_heads_never_change BEFORE UPDATE ON audit_heads
BEGIN SELECT RAISE(ABORT, 'audit heads never change'); END;
CREATE TRIGGER audit_heads_are_never_deleted BEFORE DELETE ON audit_heads
BEGIN SELECT RAISE(ABORT, 'audit heads are never deleted'); END;

-- What a person keeps: contacts, groups, containers, static publications, watchers.
CREATE TABLE rosters (
    sid             TEXT PRIMARY KEY REFERENCES accounts (sid),
    delta           INTEGER NOT NULL,
    last_group      INTEGER NOT NULL
) STRICT;

CREATE TABLE roster_contacts (
    sid             TEXT NOT NULL REFERENCES rosters (sid),
    uri             TEXT NOT NULL,
    name            TEXT NOT NULL,
    groups          TEXT NOT NULL,
    subscribed      INTEGER NOT NULL CHECK (subscribed IN (0, 1)),
    external_uri    TEXT NOT NULL,
    PRIMARY KEY (sid, uri)
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_groups (
    sid             TEXT NOT NULL REFERENCES rosters (sid),
    id              INTEGER NOT NULL,
    name            TEXT NOT NULL,
    external_uri    TEXT NOT NULL,
    PRIMARY KEY (sid, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_containers (
    sid             TEXT NOT NULL REFERENCES rosters (sid),
    id              INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    PRIMARY KEY (sid, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_container_members (
    sid             TEXT NOT NULL,
    container       INTEGER NOT NULL,
    position        INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    value           TEXT NOT NULL,
    PRIMARY KEY (sid, container, position),
    FOREIGN KEY (sid, container) REFERENCES roster_containers (sid, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_publications (
    sid             TEXT NOT NULL REFERENCES rosters (sid),
    category        TEXT NOT NULL,
    instance        INTEGER NOT NULL,
    container       INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    expire_type     TEXT NOT NULL,
    publish_time    INTEGER NOT NULL,
    expires_at      INTEGER,
    content         TEXT NOT NULL,
    PRIMARY KEY (sid, category, instance, container)
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_subscribers (
    sid             TEXT NOT NULL REFERENCES rosters (sid),
    uri             TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    acknowledged    INTEGER NOT NULL CHECK (acknowledged IN (0, 1)),
    PRIMARY KEY (sid, uri)
) STRICT, WITHOUT ROWID;

-- The life of a card between blank and destroyed. A card's number is what a request claims, so a
-- card is its number together with its holder: two people may claim one number and have two cards.
CREATE TABLE cards (
    nth             INTEGER PRIMARY KEY,
    guid            TEXT NOT NULL,
    sid             TEXT NOT NULL,
    kind            TEXT NOT NULL,
    make            TEXT NOT NULL DEFAULT '',
    label           TEXT NOT NULL DEFAULT '',
    computer        TEXT NOT NULL DEFAULT '',
    state           TEXT NOT NULL CHECK (state IN ('blank', 'enrolled', 'active', 'lost', 'damaged',
                                                   'expired', 'revoked', 'destroyed')),
    care            TEXT NOT NULL DEFAULT 'own' CHECK (care IN ('own', 'challenge', 'puk')),
    -- The version of the secret that its keys were derived from; none for a card that nobody manages.
    secret_version  INTEGER,
    -- How often its PUK was replaced: what is confirmed, and what was handed out since.
    puk_confirmed   INTEGER NOT NULL DEFAULT 0,
    puk_handed_out  INTEGER NOT NULL DEFAULT 0,
    -- A renewed certificate that has not been used yet.
    renewed_serial  TEXT,
    enrolled_at     INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    last_used_at    INTEGER,
    UNIQUE (guid, sid),
    CHECK ((care = 'own') = (secret_version IS NULL))
) STRICT;
CREATE INDEX cards_by_holder ON cards (sid);

CREATE TRIGGER cards_are_never_deleted BEFORE DELETE ON cards
BEGIN SELECT RAISE(ABORT, 'cards are never deleted'); END;
CREATE TRIGGER destroyed_cards_stay_destroyed BEFORE UPDATE OF state ON cards
WHEN OLD.state = 'destroyed' AND NEW.state <> 'destroyed'
BEGIN SELECT RAISE(ABORT, 'destroyed cards stay destroyed'); END;

-- Cards that were enrolled before there was this table.
INSERT INTO cards (guid, sid, kind, state, enrolled_at, changed_at)
SELECT card_guid, account, coalesce(max(card_kind), 'physical'),
       CASE WHEN sum(status = 'active') > 0 THEN 'active'
            WHEN sum(status = 'issued') > 0 THEN 'enrolled'
            ELSE 'revoked' END,
       min(prepared_at), max(prepared_at)
FROM certificates
WHERE profile = 'SmartcardUser' AND card_guid IS NOT NULL AND account IS NOT NULL
GROUP BY card_guid, account;

-- One-time codes with which the holder of a card of another make fetches its PUK, one per card.
CREATE TABLE unblock_codes (
    card            INTEGER PRIMARY KEY REFERENCES cards (nth),
    salt            BLOB NOT NULL,
    hash            BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    used_at         INTEGER,
    tries_failed    INTEGER NOT NULL,
    tries_since     INTEGER
) STRICT;

-- Each answer that the desk gave, so that their number can be limited.
CREATE TABLE desk_answers (
    card            INTEGER NOT NULL REFERENCES cards (nth),
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX desk_answers_by_card ON desk_answers (card, at);

-- Who made a code for enrolment: it is the approver of what is enrolled with it.
ALTER TABLE enrol_codes ADD COLUMN made_by TEXT NOT NULL DEFAULT 'system:one-time-code';

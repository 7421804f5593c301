-- What a group asks of cards and of the people who use them.

ALTER TABLE groups ADD COLUMN key_assurance TEXT;
ALTER TABLE groups ADD COLUMN card_removal TEXT;
ALTER TABLE groups ADD COLUMN card_removal_grace_seconds INTEGER;
ALTER TABLE groups ADD COLUMN presence_proof_minutes INTEGER;
ALTER TABLE groups ADD COLUMN missing_presence_key TEXT;

ALTER TABLE default_policy ADD COLUMN key_assurance TEXT;
ALTER TABLE default_policy ADD COLUMN card_removal TEXT;
ALTER TABLE default_policy ADD COLUMN card_removal_grace_seconds INTEGER;
ALTER TABLE default_policy ADD COLUMN presence_proof_minutes INTEGER;
ALTER TABLE default_policy ADD COLUMN missing_presence_key TEXT;

-- Makers of TPMs and cards whose word counts, as certificates of theirs.
CREATE TABLE attestation_roots (
    thumbprint      TEXT PRIMARY KEY,
    serves          TEXT NOT NULL CHECK (serves IN ('tpm', 'piv')),
    der             BLOB NOT NULL,
    added_at        INTEGER NOT NULL,
    added_by        TEXT NOT NULL
) STRICT;

-- TPMs that the administrator knows one by one: SHA-256 of the endorsement key in DER.
CREATE TABLE known_tpms (
    endorsement_key TEXT PRIMARY KEY,
    note            TEXT NOT NULL DEFAULT '',
    added_at        INTEGER NOT NULL,
    added_by        TEXT NOT NULL
) STRICT;

-- The stock of cards that nobody holds yet. An enrolment takes the card out of it.
CREATE TABLE blank_cards (
    guid            TEXT PRIMARY KEY,
    kind            TEXT NOT NULL,
    make            TEXT NOT NULL DEFAULT '',
    label           TEXT NOT NULL DEFAULT '',
    -- A card can be lost, damaged or destroyed before anybody had it.
    state           TEXT NOT NULL CHECK (state IN ('blank', 'lost', 'damaged', 'revoked', 'destroyed')),
    registered_at   INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL
) STRICT;
CREATE TRIGGER destroyed_blank_cards_stay_destroyed BEFORE UPDATE OF state ON blank_cards
WHEN OLD.state = 'destroyed' AND NEW.state <> 'destroyed'
BEGIN SELECT RAISE(ABORT, 'destroyed cards stay destroyed'); END;

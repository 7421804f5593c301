-- Photographs as they are served: JPEG of bounded size, made by the server from what an administrator
-- gave it, and named by the SHA-256 of their bytes.
CREATE TABLE photos (
    sid             TEXT PRIMARY KEY REFERENCES accounts (sid),
    hash            TEXT NOT NULL CHECK (length(hash) = 64),
    jpeg            BLOB NOT NULL,
    set_at          INTEGER NOT NULL
) STRICT;
CREATE INDEX photos_by_hash ON photos (hash);

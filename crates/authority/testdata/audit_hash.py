# SPDX-License-Identifier: MIT OR Apache-2.0
"""Computes the hashes of two audit events by the description in src/audit/event.rs, without its code."""
from datetime import datetime, timezone
from hashlib import sha256

MILLIS = int(datetime(2026, 11, 22, 12, 34, 56, tzinfo=timezone.utc).timestamp()) * 1000 + 789
TEXTS = ["admin:root", "user.added", "alice@contoso.test", '{"display_name":"Alice \u00c4ngstr\u00f6m"}']

previous = bytes(32)
for seq in (1, 2):
    row = b"lanyard audit event 1\0" + previous + seq.to_bytes(8, "big") + MILLIS.to_bytes(8, "big")
    for text in TEXTS:
        data = text.encode()
        row += len(data).to_bytes(8, "big") + data
    previous = sha256(row).digest()
    print(previous.hex())

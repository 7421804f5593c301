// SPDX-License-Identifier: MIT OR Apache-2.0
// Origin: Python's hmac over the text of version 4 with the key block 00 01 02 … 7f.
const CLIENT_SHA1: &str = "89749248485b734964ec3fd6f4971c619dcb493f";
const CLIENT_SHA256: &str = "668ab1e72aae763ed9eec7a6f8936581b24ac6955cedd44115e6599f9a6cfea5";
const CLIENT_SHA384: &str = concat!(
    "8f04a289ac0f01b81e59acba2d553360990b38b161d19feb13183ae16ad8466a",
    "ea5b9872349fe15a851b26410f9d640c"
);
const SERVER_SHA1: &str = "f6649339aad6e2a38587b9b80fcbeac55e03436b";
const SERVER_SHA256: &str = "fb065c460faa9f91ea0c2987d30d6ffc6988e90d1a63c621d71566a8953fca14";
const SERVER_SHA384: &str = concat!(
    "8254a0fbdc301654643a76d154828af73221648fd2d657c9ef4ad45bcc3027a1",
    "6646d7fd55619c768bc3440e27c12d5c"
);

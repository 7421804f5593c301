// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names, profiles' extensions, PKCS#10, CRL: wrappers over RustCrypto.

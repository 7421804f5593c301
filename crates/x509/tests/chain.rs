// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chains: what is true, and every way of not being.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use lanyard_x509::{
    BasicConstraints, CHAIN_CERTIFICATES_MAX, Certificate, CertificateSpec, ChainCheck, ChainError,
    Crl, CrlSpec, DistinguishedName, Eku, RevocationReason, RevokedEntry, Serial, Signer,
    SoftwareKey, verify_chain,
};
use support::{TestCa, now, openssl, random, testdata};
use time::Duration;

/// A root, an authority below it, and a list of the latter.
struct House {
    root: TestCa,
    issuing: TestCa,
}

impl House {
    fn new() -> Self {
        let root = TestCa::root("Root");
        let issuing = root.below("Issuing", Some(0));
        Self { root, issuing }
    }

    fn check(&self, leaf: &Certificate, eku: Eku) -> Result<(), ChainError> {
        self.check_with(leaf, eku, &[])
    }

    fn check_with(&self, leaf: &Certificate, eku: Eku, crls: &[Crl]) -> Result<(), ChainError> {
        let check = ChainCheck {
            intermediates: std::slice::from_ref(&self.issuing.certificate),
            anchors: std::slice::from_ref(&self.root.certificate),
            now: now(),
            required_eku: eku,
            crls,
        };
        verify_chain(leaf, &check).map(drop)
    }

    fn crl(&self, entries: Vec<RevokedEntry>) -> Crl {
        let spec = CrlSpec {
            number: 7,
            this_update: now() - Duration::minutes(1),
            next_update: now() + Duration::hours(1),
            entries,
        };
        spec.sign(&self.issuing.certificate, &self.issuing.key)
            .unwrap()
    }

    /// A person's certificate with something about it bent.
    fn bent(&self, bend: impl FnOnce(&mut CertificateSpec)) -> Certificate {
        let key = SoftwareKey::generate().unwrap();
        let mut spec = self.issuing.person_spec(key.public_key());
        bend(&mut spec);
        spec.sign(&self.issuing.key).unwrap()
    }
}

#[test]
fn a_true_certificate_gives_its_person() {
    let house = House::new();
    let (_, leaf) = house.issuing.person();
    let check = ChainCheck {
        intermediates: std::slice::from_ref(&house.issuing.certificate),
        anchors: std::slice::from_ref(&house.root.certificate),
        now: now(),
        required_eku: Eku::SMARTCARD_LOGON,
        crls: &[],
    };
    let verified = verify_chain(&leaf, &check).unwrap();
    assert_eq!(verified.upn().unwrap().as_str(), "alice@corp.contoso.test");
    assert_eq!(
        verified.email().unwrap().as_str(),
        "alice.angstrom@contoso.test"
    );
    assert_eq!(verified.account().unwrap().as_str(), "S-1-5-21-1-2-3-1000");
    assert_eq!(verified.serial(), leaf.serial());
    assert_eq!(house.check(&leaf, Eku::CLIENT_AUTH), Ok(()));
}

#[test]
fn time_is_checked_at_both_ends() {
    let house = House::new();
    let over = house.bent(|spec| spec.not_after = now() - Duration::minutes(1));
    assert_eq!(
        house.check(&over, Eku::CLIENT_AUTH),
        Err(ChainError::Expired {
            not_after: over.not_after()
        })
    );
    let early = house.bent(|spec| spec.not_before = now() + Duration::hours(1));
    assert_eq!(
        house.check(&early, Eku::CLIENT_AUTH),
        Err(ChainError::NotYetValid {
            not_before: early.not_before()
        })
    );
}

#[test]
fn the_usage_has_to_be_named_by_the_leaf() {
    let house = House::new();
    let without = house.bent(|spec| spec.extensions.ekus = vec![Eku::CLIENT_AUTH]);
    let wrong = Err(ChainError::WrongUsage {
        required: Eku::SMARTCARD_LOGON,
    });
    assert_eq!(house.check(&without, Eku::SMARTCARD_LOGON), wrong);
    let silent = house.bent(|spec| spec.extensions.ekus.clear());
    assert_eq!(house.check(&silent, Eku::SMARTCARD_LOGON), wrong);
}

#[test]
fn an_authority_bound_to_other_usages_cannot_issue() {
    let house = House::new();
    let key = SoftwareKey::generate().unwrap();
    let mut spec = house.root.person_spec(key.public_key());
    spec.subject = DistinguishedName::from_common_name("Bound").unwrap();
    spec.extensions.basic_constraints = Some(BasicConstraints {
        ca: true,
        path_len: None,
    });
    spec.extensions.key_usage = Some(lanyard_x509::KeyUsage::KEY_CERT_SIGN);
    spec.extensions.ekus = vec![Eku::SERVER_AUTH];
    let bound = TestCa {
        certificate: spec.sign(&house.root.key).unwrap(),
        key,
    };
    let (_, leaf) = bound.person();
    let check = ChainCheck {
        intermediates: &[bound.certificate],
        anchors: &[house.root.certificate],
        now: now(),
        required_eku: Eku::CLIENT_AUTH,
        crls: &[],
    };
    let wrong = ChainError::WrongUsage {
        required: Eku::CLIENT_AUTH,
    };
    assert_eq!(verify_chain(&leaf, &check).unwrap_err(), wrong);
}

#[test]
fn certificates_of_another_house_are_unknown() {
    let (house, other) = (House::new(), House::new());
    let (_, leaf) = other.issuing.person();
    // The other house's authorities have the same names, so only the keys differ.
    assert!(matches!(
        house.check(&leaf, Eku::CLIENT_AUTH),
        Err(ChainError::UnknownIssuer | ChainError::BadSignature)
    ));
    let stranger = TestCa::root("Stranger").person().1;
    assert_eq!(
        house.check(&stranger, Eku::CLIENT_AUTH),
        Err(ChainError::UnknownIssuer)
    );
}

#[test]
fn a_person_cannot_issue_and_an_authority_cannot_sign_in() {
    let house = House::new();
    let (key, certificate) = house.issuing.person();
    let forger = TestCa { key, certificate };
    let (_, forged) = forger.person();
    let check = ChainCheck {
        intermediates: &[forger.certificate, house.issuing.certificate.clone()],
        anchors: std::slice::from_ref(&house.root.certificate),
        now: now(),
        required_eku: Eku::CLIENT_AUTH,
        crls: &[],
    };
    assert!(matches!(
        verify_chain(&forged, &check),
        Err(ChainError::IssuerNotAllowed | ChainError::UnknownIssuer)
    ));
    let authority = house.bent(|spec| {
        spec.extensions.basic_constraints = Some(BasicConstraints {
            ca: true,
            path_len: None,
        });
    });
    assert_eq!(
        house.check(&authority, Eku::CLIENT_AUTH),
        Err(ChainError::AuthorityAsLeaf)
    );
}

#[test]
fn an_authority_below_the_issuing_one_is_not_allowed() {
    let house = House::new();
    let below = house.issuing.below("Below", None);
    let (_, leaf) = below.person();
    let check = ChainCheck {
        intermediates: &[below.certificate, house.issuing.certificate],
        anchors: &[house.root.certificate],
        now: now(),
        required_eku: Eku::CLIENT_AUTH,
        crls: &[],
    };
    assert_eq!(
        verify_chain(&leaf, &check),
        Err(ChainError::IssuerNotAllowed)
    );
}

#[test]
fn a_changed_signature_is_noticed() {
    let house = House::new();
    let (_, leaf) = house.issuing.person();
    let mut der = leaf.der().to_vec();
    let at = der.len() - 3;
    der[at] ^= 1;
    let changed = Certificate::from_der(&der).unwrap();
    assert_eq!(
        house.check(&changed, Eku::CLIENT_AUTH),
        Err(ChainError::BadSignature)
    );
}

#[test]
fn an_unknown_critical_extension_and_an_old_version_are_refused() {
    let house = House::new();
    for file in ["unknown-critical", "version1"] {
        let der = testdata(&format!("certificate/{file}.der"));
        let leaf = Certificate::from_der(&der).unwrap();
        let wrong = ChainError::WrongUsage {
            required: Eku::CLIENT_AUTH,
        };
        assert_eq!(house.check(&leaf, Eku::CLIENT_AUTH), Err(wrong), "{file}");
    }
}

#[test]
fn a_chain_longer_than_the_limit_is_not_looked_at() {
    let house = House::new();
    let (_, leaf) = house.issuing.person();
    let at_limit = vec![house.issuing.certificate.clone(); CHAIN_CERTIFICATES_MAX];
    let over = vec![house.issuing.certificate.clone(); CHAIN_CERTIFICATES_MAX + 1];
    let anchors = [house.root.certificate];
    let check = |intermediates: &[Certificate]| {
        let check = ChainCheck {
            intermediates,
            anchors: &anchors,
            now: now(),
            required_eku: Eku::CLIENT_AUTH,
            crls: &[],
        };
        verify_chain(&leaf, &check).map(drop)
    };
    assert_eq!(check(&at_limit), Ok(()));
    assert_eq!(check(&over), Err(ChainError::TooLong));
}

#[test]
fn a_revocation_list_counts_when_there_is_one() {
    let house = House::new();
    let (_, leaf) = house.issuing.person();
    let (_, other) = house.issuing.person();
    let entry = RevokedEntry {
        serial: leaf.serial(),
        at: now() - Duration::minutes(1),
        reason: RevocationReason::KeyCompromise,
    };
    let list = house.crl(vec![entry]);
    assert_eq!(list.find(&leaf.serial()), Some(&entry));
    assert_eq!(list.find(&other.serial()), None);
    let lists = std::slice::from_ref(&list);
    assert_eq!(
        house.check_with(&leaf, Eku::CLIENT_AUTH, lists),
        Err(ChainError::Revoked)
    );
    assert_eq!(house.check_with(&other, Eku::CLIENT_AUTH, lists), Ok(()));
    assert_eq!(
        house.check_with(&other, Eku::CLIENT_AUTH, &[house.crl(Vec::new())]),
        Ok(())
    );
}

#[test]
fn a_list_of_another_issuer_or_time_does_not_count() {
    let house = House::new();
    let (_, leaf) = house.issuing.person();
    let spec = CrlSpec {
        number: 1,
        this_update: now() - Duration::hours(2),
        next_update: now() - Duration::hours(1),
        entries: Vec::new(),
    };
    let old = spec
        .sign(&house.issuing.certificate, &house.issuing.key)
        .unwrap();
    assert_eq!(
        house.check_with(&leaf, Eku::CLIENT_AUTH, std::slice::from_ref(&old)),
        Err(ChainError::RevocationListExpired {
            next_update: old.next_update()
        })
    );
    let roots = spec.sign(&house.root.certificate, &house.root.key).unwrap();
    assert_eq!(
        house.check_with(&leaf, Eku::CLIENT_AUTH, &[roots]),
        Err(ChainError::RevocationUnknown)
    );
    let stranger = House::new();
    assert_eq!(
        house.check_with(&leaf, Eku::CLIENT_AUTH, &[stranger.crl(Vec::new())]),
        Err(ChainError::BadRevocationList)
    );
}

#[test]
fn lists_survive_der_and_pem_with_all_reasons() {
    let house = House::new();
    let mut entries: Vec<RevokedEntry> = RevocationReason::ALL
        .into_iter()
        .map(|reason| RevokedEntry {
            serial: Serial::from_random(random()),
            at: now(),
            reason,
        })
        .collect();
    let list = house.crl(entries.clone());
    entries.sort_by_key(|entry| entry.serial);
    let again = Crl::from_pem(&list.to_pem()).unwrap();
    assert_eq!(again.entries(), entries);
    assert_eq!(again.number(), Some(7));
    assert_eq!(again.issuer(), house.issuing.certificate.subject());
    assert_eq!(
        again.authority_key_id(),
        Some(&house.issuing.key.public_key().key_id())
    );
    assert_eq!(
        again.verify_signature(house.issuing.key.public_key()),
        Ok(())
    );
    assert!(again.verify_signature(house.root.key.public_key()).is_err());
}

#[test]
fn openssl_agrees_on_chain_and_list() {
    let house = House::new();
    let (_, good) = house.issuing.person();
    let (_, lost) = house.issuing.person();
    let entry = RevokedEntry {
        serial: lost.serial(),
        at: now() - Duration::minutes(1),
        reason: RevocationReason::KeyCompromise,
    };
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    write("root.pem", house.root.certificate.to_pem());
    write("issuing.pem", house.issuing.certificate.to_pem());
    write("crl.pem", house.crl(vec![entry]).to_pem());
    write("good.pem", good.to_pem());
    write("lost.pem", lost.to_pem());
    let verify = |leaf: &str| {
        openssl(
            directory.path(),
            &[
                "verify",
                "-x509_strict",
                "-crl_check",
                "-CAfile",
                "root.pem",
                "-untrusted",
                "issuing.pem",
                "-CRLfile",
                "crl.pem",
                "-purpose",
                "sslclient",
                leaf,
            ],
        )
    };
    let (ok, text) = verify("good.pem");
    assert!(ok, "{text}");
    let (ok, text) = verify("lost.pem");
    assert!(!ok && text.contains("certificate revoked"), "{text}");
    let (ok, text) = openssl(
        directory.path(),
        &["crl", "-in", "crl.pem", "-noout", "-text"],
    );
    assert!(ok && text.contains("Key Compromise"), "{text}");
    assert!(
        text.contains("X509v3 CRL Number: \n                7"),
        "{text}"
    );
}

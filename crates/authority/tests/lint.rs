// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last look before signing: a good certificate passes, and each fault is caught by name.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use lanyard_authority::lint::{Expectation, Fault, SIGNED_BYTES_MAX, lint};
use lanyard_authority::{
    CARD_LIFETIME_DEFAULT, CHAT_LIFETIME_DEFAULT, Grant, Order, ProfileName, TemplateArc,
};
use lanyard_x509::{
    AlternativeName, BasicConstraints, CertificateFields, DistinguishedName, Eku, KeyUsage,
    PublicKey, Serial, SignatureAlgorithm,
};
use support::{House, NOW, alice, card, held, new_key, officer, seed};
use time::Duration;

/// A good certificate and what is expected of it.
struct Good {
    house: House,
    grant: Grant,
    key: PublicKey,
    fields: CertificateFields,
}

impl Good {
    fn new(grant: Grant) -> Self {
        let house = House::new();
        let key = new_key();
        let order = Order {
            grant: grant.clone(),
            key: key.clone(),
            requester: officer(),
            approver: lanyard_authority::Actor::System("test".to_owned()),
        };
        let prepared = house.authority.prepare(order, seed(), NOW).unwrap();
        let signed = house
            .authority
            .sign(house.authority.store(prepared).unwrap())
            .unwrap();
        let status = lanyard_authority::Status::Active;
        let issued = house
            .authority
            .record(vec![signed], status, NOW)
            .unwrap()
            .remove(0);
        Self {
            house,
            grant,
            key,
            fields: issued.certificate.fields().clone(),
        }
    }

    fn card() -> Self {
        Self::new(Grant::SmartcardUser {
            person: alice(),
            card: card(1),
            policies: Vec::new(),
        })
    }

    fn server() -> Self {
        let names = vec!["lync.contoso.test".parse().unwrap()];
        Self::new(Grant::ServerTls { names })
    }

    fn expectation(&self) -> Expectation<'_> {
        Expectation {
            grant: Some(&self.grant),
            profile: self.grant.profile(),
            serial: self.fields.serial,
            issuer: Some(self.house.authority.issuing()),
            key: &self.key,
            algorithm: SignatureAlgorithm::EcdsaSha256,
            now: NOW,
            card_lifetime: CARD_LIFETIME_DEFAULT,
            bound_end: None,
            templates: Some(TemplateArc::of_root(&self.house.root)),
        }
    }

    /// The faults after something was bent.
    fn faults(&self, bend: impl FnOnce(&mut CertificateFields)) -> Vec<Fault> {
        let mut fields = self.fields.clone();
        bend(&mut fields);
        lint(&fields, 900, &self.expectation())
            .err()
            .map(|faults| faults.0)
            .unwrap_or_default()
    }
}

#[test]
fn good_certificates_of_each_profile_pass() {
    assert_eq!(Good::card().faults(|_| {}), []);
    assert_eq!(Good::server().faults(|_| {}), []);
}

#[test]
fn each_fault_of_a_card_certificate_is_caught_by_name() {
    type Bend = fn(&mut CertificateFields);
    let good = Good::card();
    let bends: Vec<(Fault, Bend)> = vec![
        (Fault::NotVersion3, |f| f.is_v3 = false),
        (Fault::OtherSerial, |f| {
            f.serial = Serial::from_random([3; 16])
        }),
        (Fault::OtherIssuer, |f| {
            f.issuer = DistinguishedName::from_common_name("x").unwrap()
        }),
        (Fault::EmptySubject, |f| {
            f.subject = DistinguishedName::default()
        }),
        (Fault::LongSubject, |f| {
            f.subject = DistinguishedName::from_common_name(&"x".repeat(65)).unwrap();
        }),
        (Fault::SubjectIsIssuer, |f| f.subject = f.issuer.clone()),
        (Fault::OtherSubject, |f| {
            f.subject = DistinguishedName::from_common_name("Bob").unwrap();
        }),
        (Fault::NoLife, |f| f.not_after = f.not_before),
        (Fault::WrongBeginning, |f| {
            f.not_before = NOW + Duration::SECOND
        }),
        (Fault::WrongBeginning, |f| {
            f.not_before = NOW - Duration::hours(1)
        }),
        (Fault::LongLife, |f| f.not_after += Duration::SECOND),
        (Fault::OutlivesIssuer, |f| {
            f.not_after += Duration::days(3650)
        }),
        (Fault::OtherKey, |f| {
            f.spki_der = new_key().spki_der().to_vec()
        }),
        (Fault::WrongSignature, |f| f.signature_algorithm = None),
        (Fault::WrongSignature, |f| {
            f.signature_algorithm = Some(SignatureAlgorithm::EcdsaSha384);
        }),
        (Fault::WrongAuthority, |f| {
            f.extensions.basic_constraints = Some(BasicConstraints {
                ca: true,
                path_len: None,
            });
        }),
        (Fault::WrongAuthority, |f| {
            f.extensions.basic_constraints = None
        }),
        (Fault::WrongKeyUsage, |f| f.extensions.key_usage = None),
        (Fault::WrongKeyUsage, |f| {
            f.extensions.key_usage = Some(KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_CERT_SIGN);
        }),
        (Fault::WrongUsage, |f| {
            f.extensions.ekus.push(Eku::ENROLMENT_AGENT)
        }),
        (Fault::WrongUsage, |f| f.extensions.ekus.clear()),
        (Fault::WrongUsage, |f| f.extensions.ekus_critical = true),
        (Fault::WrongUsage, |f| {
            f.extensions.application_policies.clear()
        }),
        (Fault::OtherNames, |f| {
            f.extensions.alternative_names.clear()
        }),
        (Fault::OtherNames, |f| {
            let other = AlternativeName::Upn("bob@contoso.test".parse().unwrap());
            f.extensions.alternative_names[0] = other;
        }),
        (Fault::OtherNames, |f| {
            let more = AlternativeName::Upn("bob@contoso.test".parse().unwrap());
            f.extensions.alternative_names.push(more);
        }),
        (Fault::OtherNames, |f| {
            let last = f.extensions.alternative_names.len() - 1;
            f.extensions.alternative_names[last] =
                AlternativeName::Uri("sip:bob@contoso.test".to_owned());
        }),
        (Fault::OtherAccount, |f| f.extensions.sid = None),
        (Fault::OtherAccount, |f| {
            f.extensions.sid = Some("S-1-5-21-1-2-3-500".parse().unwrap());
        }),
        (Fault::WrongTemplate, |f| f.extensions.template = None),
        (Fault::WrongKeyId, |f| f.extensions.subject_key_id = None),
        (Fault::WrongKeyId, |f| f.extensions.authority_key_id = None),
        (Fault::WrongKeyId, |f| {
            f.extensions.subject_key_id = Some(new_key().key_id())
        }),
        (Fault::BadUrl, |f| {
            f.extensions
                .crl_urls
                .push("https://contoso.test/".to_owned())
        }),
        (Fault::BadUrl, |f| {
            f.extensions.issuer_urls.push("http://a b/".to_owned())
        }),
        (Fault::ForeignExtension, |f| {
            f.extensions
                .unknown
                .push(("1.2.3.4".parse().unwrap(), false));
        }),
        (Fault::ForeignExtension, |f| {
            f.extensions.template_name = Some("SubCA".to_owned())
        }),
        (Fault::ForeignExtension, |f| {
            f.extensions.policies.push("1.2.3".parse().unwrap())
        }),
    ];
    for (fault, bend) in bends {
        let faults = good.faults(bend);
        assert!(faults.contains(&fault), "{fault:?} is not among {faults:?}");
    }
}

#[test]
fn a_serial_number_that_is_too_short_is_caught() {
    let mut good = Good::card();
    good.fields.serial = "1234".parse().unwrap();
    assert_eq!(good.faults(|_| {}), [Fault::WeakSerial]);
}

#[test]
fn a_certificate_may_be_as_large_as_a_card_holds_and_not_one_byte_larger() {
    let good = Good::card();
    let lint = |bytes| lint(&good.fields, bytes, &good.expectation()).map_err(|faults| faults.0);
    assert_eq!(lint(SIGNED_BYTES_MAX), Ok(()));
    assert_eq!(lint(SIGNED_BYTES_MAX + 1), Err(vec![Fault::TooLarge]));
}

#[test]
fn outliving_what_it_is_bound_to_is_caught() {
    let good = Good::card();
    let mut expectation = good.expectation();
    expectation.bound_end = Some(good.fields.not_after - Duration::SECOND);
    let faults = lint(&good.fields, 900, &expectation).unwrap_err().0;
    assert_eq!(faults, [Fault::OutlivesBound]);
}

#[test]
fn host_names_are_looked_at() {
    let good = Good::server();
    let faults = good.faults(|fields| {
        fields.extensions.alternative_names = vec![AlternativeName::Dns("*.test".to_owned())];
    });
    assert_eq!(faults, [Fault::OtherNames, Fault::BadHostName]);
    let faults = good.faults(|fields| fields.extensions.alternative_names.clear());
    assert_eq!(faults, [Fault::OtherNames]);
}

#[test]
fn a_chat_certificate_names_nobody_but_its_address() {
    let house = House::new();
    let issued = house.enrol(alice(), card(1), lanyard_authority::Status::Active);
    let chat = house
        .chat(issued.certificate.serial(), CHAT_LIFETIME_DEFAULT, NOW)
        .unwrap();
    let grant = Grant::ChatUser {
        account: alice().account,
        address: alice().address,
        card_certificate: Some(issued.certificate.serial()),
        lifetime: CHAT_LIFETIME_DEFAULT,
    };
    let key = chat.public_key().unwrap();
    let good = Good {
        house,
        grant,
        key,
        fields: chat.fields().clone(),
    };
    assert_eq!(good.faults(|_| {}), []);
    let faults = good.faults(|fields| fields.extensions.sid = Some(alice().account));
    assert_eq!(faults, [Fault::OtherAccount]);
    let faults = good.faults(|fields| {
        fields.subject = DistinguishedName::from_common_name("bob@contoso.test").unwrap();
    });
    assert_eq!(faults, [Fault::OtherSubject]);
}

#[test]
fn authorities_are_looked_at_too() {
    let ceremony = held(NOW);
    let key = ceremony.issuing.public_key().unwrap();
    let expectation = Expectation {
        grant: None,
        profile: ProfileName::IssuingCa,
        serial: ceremony.issuing.serial(),
        issuer: Some(&ceremony.root),
        key: &key,
        algorithm: SignatureAlgorithm::EcdsaSha256,
        now: NOW,
        card_lifetime: CARD_LIFETIME_DEFAULT,
        bound_end: None,
        templates: None,
    };
    let faults = |bend: fn(&mut CertificateFields)| {
        let mut fields = ceremony.issuing.fields().clone();
        bend(&mut fields);
        lint(&fields, 500, &expectation)
            .err()
            .map(|faults| faults.0)
            .unwrap_or_default()
    };
    assert_eq!(faults(|_| {}), []);
    // An authority that is bound to one usage breaks all the others below it.
    assert_eq!(
        faults(|f| f.extensions.ekus = vec![Eku::SERVER_AUTH]),
        [Fault::WrongUsage]
    );
    assert_eq!(
        faults(|f| {
            f.extensions.basic_constraints = Some(BasicConstraints {
                ca: true,
                path_len: None,
            });
        }),
        [Fault::WrongAuthority]
    );
    assert_eq!(
        faults(|f| f
            .extensions
            .crl_urls
            .push("http://contoso.test/".to_owned())),
        [Fault::BadUrl]
    );
}

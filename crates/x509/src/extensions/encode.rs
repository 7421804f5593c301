// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model written out.

use const_oid::{AssociatedOid, ObjectIdentifier, db::rfc5280};
use der::asn1::{Any, Ia5String, OctetString, Utf8StringRef};
use der::flagset::FlagSet;
use der::{Encode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName, OtherName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier,
    BasicConstraints as RawConstraints, CertificatePolicies, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage as RawUsage, SubjectAltName, SubjectKeyIdentifier,
};

use super::{AlternativeName, ExtensionError, Extensions};
use crate::oid;

/// The extensions in a fixed order. The subject alternative name becomes critical when there is no other name.
pub(crate) fn encode(
    model: &Extensions,
    subject_is_empty: bool,
) -> Result<Vec<Extension>, ExtensionError> {
    let mut out = Vec::new();
    encode_into(model, subject_is_empty, &mut out).map_err(|_| ExtensionError::Unencodable)?;
    Ok(out)
}

fn encode_into(
    model: &Extensions,
    subject_is_empty: bool,
    out: &mut Vec<Extension>,
) -> Result<(), der::Error> {
    if let Some(constraints) = model.basic_constraints {
        let raw = RawConstraints {
            ca: constraints.ca,
            path_len_constraint: constraints.path_len,
        };
        push(out, RawConstraints::OID, true, &raw)?;
    }
    if let Some(usage) = model.key_usage {
        let flags = FlagSet::new(usage.0).map_err(|_| unencodable())?;
        push(out, RawUsage::OID, true, &RawUsage(flags))?;
    }
    if !model.ekus.is_empty() {
        let ekus = ExtendedKeyUsage(model.ekus.iter().map(|eku| eku.0.0).collect());
        push(out, ExtendedKeyUsage::OID, model.ekus_critical, &ekus)?;
    }
    if !model.alternative_names.is_empty() {
        let names: Vec<GeneralName> = model
            .alternative_names
            .iter()
            .map(general_name)
            .collect::<Result<_, _>>()?;
        push(
            out,
            SubjectAltName::OID,
            subject_is_empty,
            &SubjectAltName(names),
        )?;
    }
    if let Some(sid) = &model.sid {
        let value = Any::encode_from(&OctetString::new(sid.as_str().as_bytes())?)?;
        let name = GeneralName::OtherName(OtherName {
            type_id: oid::NTDS_OBJECT_SID,
            value,
        });
        push(out, oid::NTDS_CA_SECURITY_EXT, false, &vec![name])?;
    }
    if let Some(name) = &model.template_name {
        let name = der::asn1::BmpString::from_utf8(name)?;
        push(out, oid::TEMPLATE_NAME, false, &name)?;
    }
    if let Some(info) = &model.template {
        let raw = RawTemplate {
            oid: info.oid.0,
            major: info.major,
            minor: Some(info.minor),
        };
        push(out, oid::TEMPLATE_INFO, false, &raw)?;
    }
    if !model.application_policies.is_empty() {
        let policies = policies(model.application_policies.iter().map(|eku| eku.0.0));
        push(out, oid::APPLICATION_POLICIES, false, &policies)?;
    }
    if !model.policies.is_empty() {
        let policies = policies(model.policies.iter().map(|policy| policy.0));
        push(out, CertificatePolicies::OID, false, &policies)?;
    }
    if let Some(id) = &model.subject_key_id {
        let raw = SubjectKeyIdentifier(OctetString::new(id.as_bytes())?);
        push(out, SubjectKeyIdentifier::OID, false, &raw)?;
    }
    if let Some(id) = &model.authority_key_id {
        push(
            out,
            AuthorityKeyIdentifier::OID,
            false,
            &authority_key_id(id.as_bytes())?,
        )?;
    }
    encode_urls(model, out)
}

fn encode_urls(model: &Extensions, out: &mut Vec<Extension>) -> Result<(), der::Error> {
    if !model.crl_urls.is_empty() {
        let names: Vec<GeneralName> = model
            .crl_urls
            .iter()
            .map(|url| uri(url))
            .collect::<Result<_, _>>()?;
        let point = DistributionPoint {
            distribution_point: Some(DistributionPointName::FullName(names)),
            reasons: None,
            crl_issuer: None,
        };
        push(
            out,
            CrlDistributionPoints::OID,
            false,
            &CrlDistributionPoints(vec![point]),
        )?;
    }
    let access = |method: ObjectIdentifier, url: &String| -> Result<_, der::Error> {
        Ok(AccessDescription {
            access_method: method,
            access_location: uri(url)?,
        })
    };
    let ocsp = model
        .ocsp_urls
        .iter()
        .map(|url| access(rfc5280::ID_AD_OCSP, url));
    let issuers = model
        .issuer_urls
        .iter()
        .map(|url| access(rfc5280::ID_AD_CA_ISSUERS, url));
    let descriptions: Vec<AccessDescription> = ocsp.chain(issuers).collect::<Result<_, _>>()?;
    if !descriptions.is_empty() {
        let syntax = AuthorityInfoAccessSyntax(descriptions);
        push(out, AuthorityInfoAccessSyntax::OID, false, &syntax)?;
    }
    Ok(())
}

pub(crate) fn authority_key_id(id: &[u8]) -> Result<AuthorityKeyIdentifier, der::Error> {
    Ok(AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(id)?),
        ..Default::default()
    })
}

pub(crate) fn push<T: Encode>(
    out: &mut Vec<Extension>,
    extn_id: ObjectIdentifier,
    critical: bool,
    value: &T,
) -> Result<(), der::Error> {
    out.push(Extension {
        extn_id,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    });
    Ok(())
}

/// CertificateTemplateOID of [MS-WCCE] 2.2.2.7.7.2.
#[derive(Sequence)]
pub(super) struct RawTemplate {
    pub(super) oid: ObjectIdentifier,
    pub(super) major: u32,
    pub(super) minor: Option<u32>,
}

fn policies(oids: impl Iterator<Item = ObjectIdentifier>) -> CertificatePolicies {
    CertificatePolicies(
        oids.map(|policy_identifier| PolicyInformation {
            policy_identifier,
            policy_qualifiers: None,
        })
        .collect(),
    )
}

fn general_name(name: &AlternativeName) -> Result<GeneralName, der::Error> {
    Ok(match name {
        AlternativeName::Upn(upn) => {
            let value = Any::encode_from(&Utf8StringRef::new(upn.as_str())?)?;
            GeneralName::OtherName(OtherName {
                type_id: oid::UPN,
                value,
            })
        }
        AlternativeName::Email(email) => GeneralName::Rfc822Name(Ia5String::new(email.as_str())?),
        AlternativeName::Dns(host) => GeneralName::DnsName(Ia5String::new(host)?),
        AlternativeName::Ip(address) => GeneralName::from(*address),
        AlternativeName::Uri(text) => uri(text)?,
        AlternativeName::Unread => return Err(unencodable()),
    })
}

fn uri(text: &str) -> Result<GeneralName, der::Error> {
    Ia5String::new(text).map(GeneralName::UniformResourceIdentifier)
}

fn unencodable() -> der::Error {
    der::ErrorKind::Failed.to_error()
}

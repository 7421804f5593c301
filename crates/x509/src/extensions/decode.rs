// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model read from received bytes.

use std::net::IpAddr;

use const_oid::{AssociatedOid, ObjectIdentifier, db::rfc5280};
use der::Decode;
use der::asn1::{Any, BmpString, OctetStringRef, Utf8StringRef};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName, GeneralNames, OtherName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints as RawConstraints,
    CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage as RawUsage,
    SubjectAltName, SubjectKeyIdentifier,
};

use super::encode::RawTemplate;
use super::{
    AlternativeName, BasicConstraints, ENTRIES_MAX, EXTENSIONS_MAX, ExtensionError, Extensions,
    KeyUsage, TemplateInfo,
};
use crate::identity::Sid;
use crate::oid::{self, Eku, Oid};
use crate::serial::KeyId;

/// Reads all extensions; one that we understand has to be well formed, and none may come twice.
pub(crate) fn decode(extensions: &[Extension]) -> Result<Extensions, ExtensionError> {
    if extensions.len() > EXTENSIONS_MAX {
        return Err(ExtensionError::TooMany);
    }
    let mut model = Extensions::default();
    for (index, extension) in extensions.iter().enumerate() {
        let seen = extensions.iter().take(index);
        if seen
            .into_iter()
            .any(|earlier| earlier.extn_id == extension.extn_id)
        {
            return Err(ExtensionError::Repeated(Oid(extension.extn_id)));
        }
        decode_one(extension, &mut model)?;
    }
    Ok(model)
}

fn decode_one(extension: &Extension, model: &mut Extensions) -> Result<(), ExtensionError> {
    let value = Value {
        oid: extension.extn_id,
        der: extension.extn_value.as_bytes(),
    };
    match extension.extn_id {
        RawConstraints::OID => {
            let raw: RawConstraints = value.decode()?;
            model.basic_constraints = Some(BasicConstraints {
                ca: raw.ca,
                path_len: raw.path_len_constraint,
            });
        }
        RawUsage::OID => {
            model.key_usage = Some(KeyUsage(value.decode::<RawUsage>()?.0.bits()));
        }
        ExtendedKeyUsage::OID => {
            let raw: ExtendedKeyUsage = value.decode()?;
            model.ekus = value
                .bounded(raw.0)?
                .into_iter()
                .map(|oid| Eku(Oid(oid)))
                .collect();
            model.ekus_critical = extension.critical;
        }
        SubjectAltName::OID => {
            let raw: SubjectAltName = value.decode()?;
            model.alternative_names = value.bounded(raw.0)?.iter().map(alternative_name).collect();
        }
        oid::NTDS_CA_SECURITY_EXT => model.sid = Some(sid(&value)?),
        oid::TEMPLATE_NAME => {
            model.template_name = Some(value.decode::<BmpString>()?.to_string());
        }
        oid::TEMPLATE_INFO => {
            let raw: RawTemplate = value.decode()?;
            let minor = raw.minor.unwrap_or(0);
            model.template = Some(TemplateInfo {
                oid: Oid(raw.oid),
                major: raw.major,
                minor,
            });
        }
        oid::APPLICATION_POLICIES => {
            model.application_policies = policies(&value)?.map(Eku).collect();
        }
        CertificatePolicies::OID => model.policies = policies(&value)?.collect(),
        SubjectKeyIdentifier::OID => {
            let raw: SubjectKeyIdentifier = value.decode()?;
            model.subject_key_id = Some(KeyId(raw.0.as_bytes().to_vec()));
        }
        AuthorityKeyIdentifier::OID => {
            let raw: AuthorityKeyIdentifier = value.decode()?;
            model.authority_key_id = raw.key_identifier.map(|id| KeyId(id.as_bytes().to_vec()));
        }
        CrlDistributionPoints::OID => {
            let raw: CrlDistributionPoints = value.decode()?;
            model.crl_urls = value
                .bounded(raw.0)?
                .into_iter()
                .flat_map(point_urls)
                .collect();
        }
        AuthorityInfoAccessSyntax::OID => {
            let raw: AuthorityInfoAccessSyntax = value.decode()?;
            for description in value.bounded(raw.0)? {
                let Some(url) = url(&description.access_location) else {
                    continue;
                };
                match description.access_method {
                    rfc5280::ID_AD_OCSP => model.ocsp_urls.push(url),
                    rfc5280::ID_AD_CA_ISSUERS => model.issuer_urls.push(url),
                    _ => {}
                }
            }
        }
        other => model.unknown.push((Oid(other), extension.critical)),
    }
    Ok(())
}

/// One extension's bytes, with its number for the error.
struct Value<'a> {
    oid: ObjectIdentifier,
    der: &'a [u8],
}

impl<'a> Value<'a> {
    fn decode<T: Decode<'a>>(&self) -> Result<T, ExtensionError> {
        T::from_der(self.der).map_err(|_| self.malformed())
    }

    fn bounded<T>(&self, entries: Vec<T>) -> Result<Vec<T>, ExtensionError> {
        if entries.len() > ENTRIES_MAX {
            Err(ExtensionError::TooMany)
        } else {
            Ok(entries)
        }
    }

    fn malformed(&self) -> ExtensionError {
        ExtensionError::Malformed(Oid(self.oid))
    }
}

fn sid(value: &Value<'_>) -> Result<Sid, ExtensionError> {
    let names: GeneralNames = value.decode()?;
    let [
        GeneralName::OtherName(OtherName {
            type_id: oid::NTDS_OBJECT_SID,
            value: content,
        }),
    ] = names.as_slice()
    else {
        return Err(value.malformed());
    };
    let text = content
        .decode_as::<&OctetStringRef>()
        .map_err(|_| value.malformed())?;
    std::str::from_utf8(text.as_bytes())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| value.malformed())
}

fn policies(value: &Value<'_>) -> Result<impl Iterator<Item = Oid>, ExtensionError> {
    let raw: CertificatePolicies = value.decode()?;
    Ok(value
        .bounded(raw.0)?
        .into_iter()
        .map(|policy| Oid(policy.policy_identifier)))
}

fn point_urls(point: x509_cert::ext::pkix::crl::dp::DistributionPoint) -> Vec<String> {
    match point.distribution_point {
        Some(DistributionPointName::FullName(names)) => names.iter().filter_map(url).collect(),
        _ => Vec::new(),
    }
}

fn url(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
        _ => None,
    }
}

fn alternative_name(name: &GeneralName) -> AlternativeName {
    let read = match name {
        GeneralName::OtherName(other) if other.type_id == oid::UPN => utf8(&other.value)
            .and_then(|text| text.parse().ok())
            .map(AlternativeName::Upn),
        GeneralName::Rfc822Name(text) => text.as_str().parse().ok().map(AlternativeName::Email),
        GeneralName::DnsName(text) => Some(AlternativeName::Dns(text.as_str().to_owned())),
        GeneralName::IpAddress(bytes) => ip(bytes.as_bytes()).map(AlternativeName::Ip),
        GeneralName::UniformResourceIdentifier(text) => {
            Some(AlternativeName::Uri(text.as_str().to_owned()))
        }
        _ => None,
    };
    read.unwrap_or(AlternativeName::Unread)
}

fn utf8(value: &Any) -> Option<String> {
    value
        .decode_as::<Utf8StringRef<'_>>()
        .ok()
        .map(|text| text.as_str().to_owned())
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensions::encode;

    #[test]
    fn an_extension_that_comes_twice_is_refused() {
        let model = Extensions {
            ekus: vec![Eku::CLIENT_AUTH],
            ..Extensions::default()
        };
        let once = encode(&model, false).unwrap();
        assert_eq!(decode(&once), Ok(model));
        let twice = [once.clone(), once].concat();
        assert_eq!(
            decode(&twice),
            Err(ExtensionError::Repeated(Oid(ExtendedKeyUsage::OID)))
        );
    }

    #[test]
    fn extensions_and_entries_are_read_up_to_the_limit_and_not_one_more() {
        let usages = |count: u32| {
            let numbers = (0..count).map(|number| Oid::from_arcs([1, 3, 6, number]).unwrap());
            Extensions {
                ekus: numbers.map(Eku).collect(),
                ..Extensions::default()
            }
        };
        let limit = ENTRIES_MAX as u32;
        assert!(decode(&encode(&usages(limit), false).unwrap()).is_ok());
        assert_eq!(
            decode(&encode(&usages(limit + 1), false).unwrap()),
            Err(ExtensionError::TooMany)
        );

        let unknown = |number: usize| Extension {
            extn_id: Oid::from_arcs([1, 3, 7, number as u32]).unwrap().0,
            critical: false,
            extn_value: der::asn1::OctetString::new(*b"x").unwrap(),
        };
        let many: Vec<Extension> = (0..=EXTENSIONS_MAX).map(unknown).collect();
        assert!(decode(&many[1..]).is_ok());
        assert_eq!(decode(&many), Err(ExtensionError::TooMany));
    }
}

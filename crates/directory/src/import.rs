// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading many accounts from a CSV file, with every fault named by its line.
//!
//! The first line names the columns: `address` is needed; `upn`, `email`, `name`, `title`, `phone`,
//! `groups` (separated by `;`) and `photo` (the name of a file) may follow in any order. Quoting is that of RFC 4180.

use std::collections::HashMap;

use crate::{
    AddressError, GroupName, GroupNameError, NewAccount, SipAddress, TextError, check_text,
};

/// The largest file, in bytes.
pub const IMPORT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most people in one file.
pub const IMPORT_ROWS_MAX: usize = 100_000;
/// How many faults are collected before reading stops.
const IMPORT_FAULTS_MAX: usize = 100;

const COLUMNS: [&str; 8] = [
    "address", "upn", "email", "name", "title", "phone", "groups", "photo",
];

/// One account of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// The line it stands on, counted from one.
    pub line: usize,
    /// The account.
    pub account: NewAccount,
    /// The name of the file with the photograph, as it stands in the file.
    pub photo: Option<String>,
}

/// A fault and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ImportError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong there.
    #[source]
    pub fault: ImportFault,
}

/// What is wrong with a line.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// The file is larger than [`IMPORT_BYTES_MAX`].
    #[error("the file is larger than 16 MiB")]
    TooLarge,
    /// The file has more than [`IMPORT_ROWS_MAX`] people.
    #[error("there are more than 100000 people in the file")]
    TooManyRows,
    /// The file is not UTF-8 from this line on.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The file holds no line.
    #[error("the file is empty")]
    NoHeader,
    /// A column that is not known.
    #[error(
        "'{0}' is no column; there are address, upn, email, name, title, phone, groups and photo"
    )]
    UnknownColumn(String),
    /// A column that is there twice.
    #[error("the column '{0}' is there twice")]
    RepeatedColumn(String),
    /// The column `address` is missing.
    #[error("the column 'address' is missing")]
    NoAddressColumn,
    /// A row has more or fewer fields than the first line.
    #[error("there are {found} fields, the first line has {wanted}")]
    FieldCount {
        /// The fields of this row.
        found: usize,
        /// The columns of the first line.
        wanted: usize,
    },
    /// A quote is not closed, or stands where none may stand.
    #[error("a quotation mark is missing or in the wrong place")]
    Quotes,
    /// The sign-in address is wrong.
    #[error("address: {0}")]
    Address(AddressError),
    /// The principal name is wrong.
    #[error("upn: {0}")]
    Upn(AddressError),
    /// The e-mail address is wrong.
    #[error("email: {0}")]
    Email(AddressError),
    /// A text is wrong.
    #[error("{column}: {fault}")]
    Text {
        /// The column.
        column: &'static str,
        /// What is wrong.
        fault: TextError,
    },
    /// The name of a group is wrong.
    #[error("groups: {0}")]
    Group(GroupNameError),
    /// The same address or principal name stands on an earlier line.
    #[error("'{value}' stands on line {first} already")]
    Repeated {
        /// The address or principal name.
        value: String,
        /// The earlier line.
        first: usize,
    },
}

/// Reads the whole file.
///
/// # Errors
/// All faults found (at most a hundred), so that one pass of corrections is enough.
pub fn parse_import(bytes: &[u8]) -> Result<Vec<ImportRow>, Vec<ImportError>> {
    let only = |line, fault| vec![ImportError { line, fault }];
    if bytes.len() > IMPORT_BYTES_MAX {
        return Err(only(1, ImportFault::TooLarge));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        only(line, ImportFault::NotUtf8)
    })?;

    let mut records = Records {
        rest: text,
        line: 1,
    };
    let header = match records.next() {
        None => return Err(only(1, ImportFault::NoHeader)),
        Some(Err(error)) => return Err(vec![error]),
        Some(Ok(record)) => record,
    };
    let columns = read_header(&header).map_err(|fault| only(header.line, fault))?;

    let mut rows = Vec::new();
    let mut faults = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for record in records {
        let line = record
            .as_ref()
            .map_or_else(|error| error.line, |record| record.line);
        let row = record.map_err(|error| error.fault).and_then(|record| {
            let (account, photo) = read_row(&columns, &record)?;
            for key in [
                format!("address {}", account.sip_address),
                format!("upn {}", account.upn.key()),
            ] {
                if let Some(first) = seen.get(&key) {
                    let value = key.split_once(' ').map_or(key.as_str(), |(_, value)| value);
                    return Err(ImportFault::Repeated {
                        value: value.to_owned(),
                        first: *first,
                    });
                }
                seen.insert(key, line);
            }
            Ok(ImportRow {
                line,
                account,
                photo,
            })
        });
        match row {
            Ok(_) if rows.len() >= IMPORT_ROWS_MAX => {
                return Err(only(line, ImportFault::TooManyRows));
            }
            Ok(row) => rows.push(row),
            Err(fault) => faults.push(ImportError { line, fault }),
        }
        if faults.len() >= IMPORT_FAULTS_MAX {
            break;
        }
    }
    if faults.is_empty() {
        Ok(rows)
    } else {
        Err(faults)
    }
}

fn read_header(header: &Record) -> Result<Vec<&'static str>, ImportFault> {
    let mut columns = Vec::new();
    for field in &header.fields {
        let name = field.trim().to_ascii_lowercase();
        let column = COLUMNS
            .into_iter()
            .find(|column| *column == name)
            .ok_or_else(|| ImportFault::UnknownColumn(field.trim().to_owned()))?;
        if columns.contains(&column) {
            return Err(ImportFault::RepeatedColumn(name));
        }
        columns.push(column);
    }
    if !columns.contains(&"address") {
        return Err(ImportFault::NoAddressColumn);
    }
    Ok(columns)
}

fn read_row(
    columns: &[&'static str],
    record: &Record,
) -> Result<(NewAccount, Option<String>), ImportFault> {
    if record.fields.len() != columns.len() {
        return Err(ImportFault::FieldCount {
            found: record.fields.len(),
            wanted: columns.len(),
        });
    }
    let field = |wanted: &str| {
        let fields = columns.iter().zip(&record.fields);
        fields
            .filter(|(column, _)| **column == wanted)
            .map(|(_, field)| field.trim())
            .find(|field| !field.is_empty())
    };
    let text = |column: &'static str| {
        field(column)
            .map(check_text)
            .transpose()
            .map_err(|fault| ImportFault::Text { column, fault })
    };

    let address: SipAddress = field("address")
        .unwrap_or_default()
        .parse()
        .map_err(ImportFault::Address)?;
    let mut account = NewAccount::new(address);
    if let Some(upn) = field("upn") {
        account.upn = upn.parse().map_err(ImportFault::Upn)?;
    }
    if let Some(email) = field("email") {
        account.email = email.parse().map_err(ImportFault::Email)?;
    }
    if let Some(name) = text("name")? {
        account.display_name = name;
    }
    account.title = text("title")?;
    account.phone = text("phone")?;
    if let Some(groups) = field("groups") {
        account.groups = groups
            .split(';')
            .filter(|group| !group.trim().is_empty())
            .map(|group| group.parse::<GroupName>().map_err(ImportFault::Group))
            .collect::<Result<_, _>>()?;
        account.groups.sort();
        account.groups.dedup();
    }
    Ok((account, field("photo").map(str::to_owned)))
}

struct Record {
    line: usize,
    fields: Vec<String>,
}

/// The records of the file; blank lines are skipped.
struct Records<'a> {
    rest: &'a str,
    line: usize,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let line = self.line;
            match self.record() {
                Ok(fields) if fields.iter().all(|field| field.trim().is_empty()) => {}
                Ok(fields) => return Some(Ok(Record { line, fields })),
                Err(fault) => {
                    self.skip_line();
                    return Some(Err(ImportError { line, fault }));
                }
            }
        }
    }
}

impl Records<'_> {
    /// Reads one record up to and with its line break.
    fn record(&mut self) -> Result<Vec<String>, ImportFault> {
        let mut fields = Vec::new();
        loop {
            let field = if self.rest.starts_with('"') {
                self.quoted()?
            } else {
                self.plain()?
            };
            fields.push(field);
            match self.rest.chars().next() {
                Some(',') => self.advance(1),
                Some('\n') => {
                    self.advance(1);
                    self.line += 1;
                    return Ok(fields);
                }
                Some('\r') if self.rest.starts_with("\r\n") => {
                    self.advance(2);
                    self.line += 1;
                    return Ok(fields);
                }
                None => return Ok(fields),
                Some(_) => return Err(ImportFault::Quotes),
            }
        }
    }

    fn plain(&mut self) -> Result<String, ImportFault> {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (field, _) = self.rest.split_at(end);
        // A carriage return belongs to the line break.
        let field = field.strip_suffix('\r').unwrap_or(field);
        if field.contains('"') {
            return Err(ImportFault::Quotes);
        }
        let field_len = field.len();
        let field = field.to_owned();
        self.advance(field_len);
        if self.rest.starts_with('\r') && !self.rest.starts_with("\r\n") {
            self.advance(1);
        }
        Ok(field)
    }

    fn quoted(&mut self) -> Result<String, ImportFault> {
        let mut field = String::new();
        let mut at = 1;
        loop {
            let tail = self.rest.get(at..).unwrap_or_default();
            let quote = tail.find('"').ok_or(ImportFault::Quotes)?;
            let (part, _) = tail.split_at(quote);
            field.push_str(part);
            at += quote + 1;
            if !self.rest.get(at..).unwrap_or_default().starts_with('"') {
                break;
            }
            field.push('"');
            at += 1;
        }
        self.line += field.matches('\n').count();
        self.advance(at);
        Ok(field)
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn skip_line(&mut self) {
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.advance(end);
        self.line += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn faults(text: &str) -> Vec<String> {
        parse_import(text.as_bytes())
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_file_with_all_columns_is_read() {
        let text = "address,upn,email,name,title,phone,groups,photo\r\n\
            alice@contoso.test,a.smith@corp.test,Alice@mail.test,\"Smith, \"\"Al\"\"ice\",Head,+1 2,Sales;eu,a.jpg\r\n\
            \r\n\
            sip:bob@contoso.test,,,,,,,\r\n";
        let rows = parse_import(text.as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].account.display_name, "Smith, \"Al\"ice");
        assert_eq!(rows[0].account.upn.as_str(), "a.smith@corp.test");
        assert_eq!(rows[0].account.email.as_str(), "Alice@mail.test");
        assert_eq!(rows[0].account.groups.len(), 2);
        assert_eq!(rows[0].photo.as_deref(), Some("a.jpg"));
        assert_eq!(rows[1].photo, None);
        assert_eq!(
            (rows[1].line, rows[1].account.upn.as_str()),
            (4, "bob@contoso.test")
        );
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let text = "address,name\n\
            alice@contoso.test,Alice\n\
            no-at-sign,Bob\n\
            carol@contoso.test\n\
            alice@contoso.test,Again\n\
            dave@contoso.test,\"open\n";
        assert_eq!(
            faults(text),
            [
                "line 3: address: there is no @ in the address",
                "line 4: there are 1 fields, the first line has 2",
                "line 5: 'alice@contoso.test' stands on line 2 already",
                "line 6: a quotation mark is missing or in the wrong place",
            ]
        );
    }

    #[test]
    fn a_wrong_first_line_is_named() {
        assert_eq!(faults(""), ["line 1: the file is empty"]);
        assert_eq!(
            faults("name\nx\n"),
            ["line 1: the column 'address' is missing"]
        );
        assert!(faults("address,colour\n")[0].contains("'colour' is no column"));
        assert!(faults("address,address\n")[0].contains("twice"));
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_line() {
        let bytes = b"address,name\nalice@contoso.test,\xFF\n";
        assert_eq!(parse_import(bytes).unwrap_err()[0].line, 2);
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let mut bytes = b"address\n".to_vec();
        bytes.resize(IMPORT_BYTES_MAX, b'\n');
        assert_eq!(parse_import(&bytes), Ok(Vec::new()));
        bytes.push(b'\n');
        assert_eq!(
            parse_import(&bytes).unwrap_err()[0].fault,
            ImportFault::TooLarge
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_import(&bytes);
        }

        #[test]
        fn any_text_with_a_good_header_is_read_or_refused(text in "[a-c@.,\"\r\n;]{0,120}") {
            let _ = parse_import(format!("address,groups\n{text}").as_bytes());
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! People in words. What they are called was written by others: it never drives the terminal.

use lanyard_client::people::PersonView;
use lanyard_client::view::Availability;

use crate::output::{Style, printable};

/// People who were found, numbered.
pub fn people_lines(people: &[PersonView], more: bool, style: Style) -> Vec<String> {
    if people.is_empty() {
        return vec![style.quiet("Nobody was found.")];
    }
    let line = |(number, person): (usize, &PersonView)| {
        let mut line = format!("{:>3}  ", number + 1);
        if person.availability != Availability::Unknown {
            line.push_str(&format!("{} ", style.badge(person.availability)));
        }
        line.push_str(&style.strong(&printable(&person.name)));
        if person.name != person.address.as_str() {
            line.push_str(&style.quiet(&format!("  {}", person.address)));
        }
        for fact in [&person.title, &person.phone] {
            if !fact.is_empty() {
                line.push_str(&format!(" · {}", printable(fact)));
            }
        }
        if !person.email.is_empty() && person.email != person.address.as_str() {
            line.push_str(&format!(" · {}", printable(&person.email)));
        }
        if person.contact {
            line.push_str(&style.quiet(" · contact"));
        }
        line
    };
    let mut lines: Vec<String> = people.iter().enumerate().map(line).collect();
    if more {
        lines.push(style.quiet("There are more; type more of the name."));
    }
    lines
}

/// A contact card.
pub fn person_lines(person: &PersonView, style: Style) -> Vec<String> {
    let mut lines = vec![style.strong(&printable(&person.name))];
    let status = match person.availability {
        Availability::Unknown => "",
        known => known.words(),
    };
    let photo = person
        .photo
        .as_ref()
        .map_or("", |_| "yes; --photo FILE writes it to a file");
    for (label, value) in [
        ("Title", person.title.as_str()),
        ("Company", person.company.as_str()),
        ("Address", person.address.as_str()),
        ("E-mail", person.email.as_str()),
        ("Phone", person.phone.as_str()),
        ("Status", status),
        ("Note", person.note.as_str()),
        ("Photo", photo),
    ] {
        if !value.is_empty() {
            lines.push(format!("  {label:<9}{}", printable(value)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zoe() -> PersonView {
        let address = "zoe@contoso.test".parse().unwrap();
        PersonView {
            name: "Zoë\u{1b}[2J Müller".to_owned(),
            title: "Head\nof Sales".to_owned(),
            phone: "+49 30 1".to_owned(),
            email: "zoe@mail.test".to_owned(),
            company: "Contoso".to_owned(),
            photo: Some("0a".to_owned()),
            availability: Availability::Busy,
            contact: true,
            ..PersonView::unknown(address)
        }
    }

    #[test]
    fn people_and_cards_read_as_reviewed_and_drive_no_terminal() {
        let other = PersonView::unknown("max@contoso.test".parse().unwrap());
        let mut all = people_lines(&[zoe(), other], true, Style::plain());
        all.extend(people_lines(&[], false, Style::plain()));
        all.extend(person_lines(&zoe(), Style::plain()));
        let text = all.join("\n");
        assert!(!text.contains('\u{1b}'));
        insta::assert_snapshot!(text);
    }
}

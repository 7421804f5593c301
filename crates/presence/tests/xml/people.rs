// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contact cards with a photograph, and where the address book is.

use lanyard_presence::xml::Element;
use lanyard_presence::xml::contact_card::ContactCard;
use lanyard_presence::xml::provisioning::{AddressBook, Provisioning};
use lanyard_presence::{PersonCard, PersonUri, PhotoLink};

fn bob() -> PersonCard {
    let uri = PersonUri::parse("bob@contoso.test").expect("address");
    let mut card = PersonCard::new(uri, "Bob <\"the\"> Builder");
    card.title = "Engineer & more".to_owned();
    card.email = "robert@mail.contoso.test".to_owned();
    card.phone = "+49 30 123-45".to_owned();
    card.company = "Contoso".to_owned();
    card.photo = Some(PhotoLink {
        uri: "https://lync.contoso.test/abs/handler/photos/0a.jpg".to_owned(),
        hash: "0a".to_owned(),
    });
    card
}

fn read(xml: &str) -> ContactCard {
    ContactCard::read(&Element::parse(xml.as_bytes()).expect("XML")).expect("card")
}

#[test]
fn a_card_with_a_photo_is_written_and_read() {
    let card = ContactCard::from(&bob());
    insta::assert_snapshot!(card.to_xml());
    assert_eq!(read(&card.to_xml()), card);
}

#[test]
fn somebody_who_may_not_sign_in_keeps_a_name_and_nothing_else() {
    let mut gone = bob();
    gone.enabled = false;
    let xml = ContactCard::from(&gone).to_xml();
    assert_eq!(read(&xml).display_name, gone.display_name);
    for private in ["+49", "Engineer", "robert", "photo", "Contoso"] {
        assert!(!xml.contains(private), "{xml}");
    }
}

#[test]
fn a_photo_that_a_person_put_somewhere_is_not_taken_for_the_organisations() {
    for photo in [
        "<photo type=\"default\"><uri>https://evil.test/x.jpg</uri><hash>0a</hash></photo>",
        "<photo><uri>https://evil.test/x.jpg</uri><hash>0a</hash></photo>",
        "<photo type=\"enterprise\"><uri>https://lync.contoso.test/x.jpg</uri></photo>",
    ] {
        let xml = format!("<contactCard xmlns=\"urn:x\">{photo}</contactCard>");
        assert_eq!(read(&xml).photo, None, "{photo}");
    }
}

#[test]
fn a_client_is_told_where_the_address_book_is() {
    let book = AddressBook {
        query: "https://lync.contoso.test/GroupExpansion/Service.svc".to_owned(),
        files: "https://lync.contoso.test/abs/handler".to_owned(),
    };
    let document = Provisioning::default().with_address_book(&book);
    let asked = ["ServerConfiguration".to_owned()];
    let xml = document.to_xml(&asked);
    insta::assert_snapshot!(xml);
    let read = Provisioning::parse(xml.as_bytes()).expect("document");
    assert_eq!(read.address_book(), Some(book));
    assert_eq!(Provisioning::default().address_book(), None);
    // Whoever asks for other groups hears nothing of it.
    assert!(!document.to_xml(&["ucPolicy".to_owned()]).contains("dlx"));
}

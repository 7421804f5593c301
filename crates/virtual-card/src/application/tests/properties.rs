// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for every sequence of commands.

use proptest::prelude::*;

use super::*;

/// A command that is often close to a right one.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let instruction = prop_oneof![
        Just(0x20),
        Just(0x24),
        Just(0x2C),
        Just(0x87),
        Just(0xA4),
        Just(0xC0),
        Just(0xCB),
        Just(0xDB),
        Just(0x47),
        Just(0xF7),
        Just(0xFF),
        any::<u8>(),
    ];
    let p1 = prop_oneof![
        Just(0),
        Just(4),
        Just(0x11),
        Just(3),
        Just(0x3F),
        Just(0xFF),
        any::<u8>()
    ];
    let p2 = prop_oneof![
        Just(0x80),
        Just(0x81),
        Just(0x9A),
        Just(0x9B),
        Just(0x9C),
        Just(0x9E),
        Just(0xFF),
        Just(0),
        any::<u8>(),
    ];
    let data = prop_oneof![
        Just(Vec::new()),
        Just(b"999999\xff\xff".to_vec()),
        Just(b"9999999988888888".to_vec()),
        Just(b"99999999\x31\x32\x33\x34\x35\x37\xff\xff".to_vec()),
        Just(vec![0x7C, 2, 0x81, 0]),
        Just(vec![0x7C, 2, 0x80, 0]),
        Just([&[0x7C, 0x24, 0x82, 0, 0x81, 0x20][..], &[7; 32]].concat()),
        Just(vec![0x5C, 3, 0x5F, 0xC1, 2]),
        Just(vec![0xAC, 3, 0x80, 1, 0x11]),
        proptest::collection::vec(any::<u8>(), 0..60),
    ];
    let class = prop_oneof![9 => Just(0_u8), 2 => Just(0x10), 1 => any::<u8>()];
    (class, instruction, p1, p2, data, any::<bool>()).prop_map(
        |(class, instruction, p1, p2, data, expects)| {
            let mut command = Command::new(instruction, p1, p2)
                .with_class(class)
                .with_data(data);
            if expects {
                command = command.with_expected(256);
            }
            command.to_bytes().unwrap().to_vec()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a stranger sends (right PIN, PUK and management key never among it): nothing
    /// panics, no counter grows, nothing is written, and no key but 9E is ever used.
    #[test]
    fn a_stranger_gets_nothing_from_any_sequence(
        stream in proptest::collection::vec(
            prop_oneof![9 => command(), 1 => proptest::collection::vec(any::<u8>(), 0..20)], 0..60),
        resets in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let mut reader = Reader::with_keys();
        // The PUK is changed, too: 12345678 may well be among the random data.
        let puk = Puk::parse("24681357").unwrap();
        reader.card.change_puk(&Puk::parse("12345678").unwrap(), &puk).unwrap();
        let own = ManagementKey::new(&[0xA7; 32]).unwrap();
        reader.card.set_management_key(ManagementAlgorithm::Aes256, &own).unwrap();
        let keys = Slot::MAIN.map(|slot| reader.card.key(slot));
        let (mut pin_tries, mut puk_tries) = (3, 3);
        for (bytes, reset) in stream.iter().zip(resets) {
            if reset && bytes.len() % 7 == 0 {
                reader.session.reset();
            }
            let answer = reader.raw(bytes);
            let pin_left = reader.card.pin_status().tries.left;
            let puk_left = reader.card.puk_status().tries.left;
            prop_assert!(pin_left <= pin_tries && puk_left <= puk_tries);
            (pin_tries, puk_tries) = (pin_left, puk_left);
            let used_key = bytes.get(1) == Some(&ins::GENERAL_AUTHENTICATE)
                && bytes.first() == Some(&0)
                && answer.status().is_success();
            if used_key {
                let reference = bytes.get(3).copied();
                prop_assert!(matches!(reference, Some(0x9E | 0x9B)), "{reference:02x?}");
            }
        }
        prop_assert_eq!(Slot::MAIN.map(|slot| reader.card.key(slot)), keys);
        let stored = SealedCard::open(&reader.storage.bytes(), MemoryStorage::default()).unwrap();
        prop_assert_eq!(stored.pin_status().tries.left, pin_tries);
        prop_assert_eq!(stored.management_key(), Ok(own));
    }

    /// The holder's own commands mixed with any others: nothing panics and the card stays usable.
    #[test]
    fn any_sequence_of_the_holder_leaves_a_usable_card(
        stream in proptest::collection::vec(command(), 0..40),
        helpful in proptest::collection::vec(0_u8..4, 40),
    ) {
        let mut reader = Reader::with_keys();
        for (bytes, helpful) in stream.iter().zip(helpful) {
            match helpful {
                0 => { reader.verify(NEW_PIN); }
                1 => { let _ = reader.sign(Slot::Authentication); }
                2 => reader.later(3),
                _ => {}
            }
            reader.raw(bytes);
        }
        let stored = reader.storage.bytes();
        let stored = SealedCard::open(&stored, MemoryStorage::default());
        prop_assert!(stored.is_ok());
    }
}

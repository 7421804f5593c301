// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the reader tells of itself through control codes (PC/SC part 10, 2.2 and 2.6).

use super::device::Device;
use super::line::FRAME_BYTES_MAX;
use super::pad;

/// SCARD_CTL_CODE of pcsc-lite.
const CONTROL_BASE: u32 = 0x4200_0000;
/// CM_IOCTL_GET_FEATURE_REQUEST: which features there are, under which codes.
pub const CONTROL_FEATURES: u32 = CONTROL_BASE + 3400;
/// FEATURE_VERIFY_PIN_DIRECT.
pub const CONTROL_VERIFY: u32 = CONTROL_BASE + 0x33_0000 + FEATURE_VERIFY as u32;
/// FEATURE_MODIFY_PIN_DIRECT.
pub const CONTROL_MODIFY: u32 = CONTROL_BASE + 0x33_0000 + FEATURE_MODIFY as u32;
/// FEATURE_GET_TLV_PROPERTIES.
pub const CONTROL_PROPERTIES: u32 = CONTROL_BASE + 0x33_0000 + FEATURE_PROPERTIES as u32;
/// Our own: four bytes, big-endian, the user whose card lies in the slot. A program that asks for
/// a PIN can see whether the card is its own user's.
pub const CONTROL_OWNER: u32 = CONTROL_BASE + 0x33_4C59;

const FEATURE_VERIFY: u8 = 0x06;
const FEATURE_MODIFY: u8 = 0x07;
const FEATURE_PROPERTIES: u8 = 0x12;

const LCD_LAYOUT: u8 = 1;
const ENTRY_VALIDATION: u8 = 2;
const PIN_SIZE_MIN: u8 = 6;
const PIN_SIZE_MAX: u8 = 7;
const FIRMWARE: u8 = 8;
const PPDU_SUPPORT: u8 = 9;
const APDU_DATA_SIZE_MAX: u8 = 10;

/// Header, extended Lc and extended Le of a command.
const AROUND_DATA: usize = 4 + 3 + 2;

/// The answer to [`CONTROL_FEATURES`]: tag, length 4, code, for each feature.
pub fn features(device: &Device) -> Vec<u8> {
    let mut features = vec![(FEATURE_PROPERTIES, CONTROL_PROPERTIES)];
    if device.pad {
        features.push((FEATURE_VERIFY, CONTROL_VERIFY));
        features.push((FEATURE_MODIFY, CONTROL_MODIFY));
    }
    let mut answer = Vec::new();
    for (tag, code) in features {
        answer.extend_from_slice(&[tag, 4]);
        answer.extend_from_slice(&code.to_be_bytes());
    }
    answer
}

/// The answer to [`CONTROL_PROPERTIES`]: tag, length, value with the least byte first.
pub fn properties(device: &Device) -> Vec<u8> {
    let size = u32::try_from(FRAME_BYTES_MAX.saturating_sub(AROUND_DATA)).unwrap_or(u32::MAX);
    let mut properties: Vec<(u8, Vec<u8>)> = vec![
        (APDU_DATA_SIZE_MAX, size.to_le_bytes().to_vec()),
        (PPDU_SUPPORT, vec![0]),
        (FIRMWARE, env!("CARGO_PKG_VERSION").as_bytes().to_vec()),
    ];
    if device.pad {
        properties.push((LCD_LAYOUT, vec![0, 0]));
        // The key "OK".
        properties.push((ENTRY_VALIDATION, vec![2]));
        properties.push((PIN_SIZE_MIN, vec![pad::DIGITS_MIN]));
        properties.push((PIN_SIZE_MAX, vec![pad::DIGITS_MAX]));
    }
    let mut answer = Vec::new();
    for (tag, value) in properties {
        answer.push(tag);
        answer.push(u8::try_from(value.len()).unwrap_or(0));
        answer.extend_from_slice(&value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_without_a_pad_offers_none() {
        let plain = Device::parse("lanyard:/s:shared").unwrap();
        assert_eq!(features(&plain), [0x12, 4, 0x42, 0x33, 0, 0x12]);
        let pad = Device::parse("lanyard:/s:shared:pad").unwrap();
        assert_eq!(
            features(&pad)[6..],
            [6, 4, 0x42, 0x33, 0, 6, 7, 4, 0x42, 0x33, 0, 7]
        );
        assert_eq!(CONTROL_FEATURES, 0x4200_0D48);
    }

    #[test]
    fn the_longest_command_is_told() {
        let device = Device::parse("lanyard:/s:shared").unwrap();
        let told = properties(&device);
        assert_eq!(told[..6], [10, 4, 0xF6, 0xFF, 0, 0]);
        assert!(!told.windows(2).any(|pair| pair == [PIN_SIZE_MIN, 1]));
    }
}

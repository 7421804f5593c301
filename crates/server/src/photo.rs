// SPDX-License-Identifier: MIT OR Apache-2.0
//! Photographs of people: whatever an administrator gives is decoded within limits and written anew.
//!
//! Nothing of the given file is ever served. What is stored is a JPEG that this program wrote, of a
//! bounded size, without metadata: no place, no camera, no thumbnail, nothing behind the picture.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

/// The largest file that is looked at, in bytes.
pub const SOURCE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The longest side of a picture that is decoded, in pixels.
pub const SOURCE_SIDE_MAX: u32 = 6_000;
/// The shortest side of a picture that shows anything, in pixels.
pub const SOURCE_SIDE_MIN: u32 = 16;
/// The most memory for the decoded picture, in bytes: 24 megapixels in three colours, and room.
const DECODED_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// The longest side of what is stored, in pixels.
pub const SIDE_MAX: u32 = 240;
/// The largest stored picture, in bytes.
pub const JPEG_BYTES_MAX: usize = 64 * 1024;
/// Qualities that are tried, the best first; the last one fits any picture of this size.
const QUALITIES: [u8; 4] = [85, 70, 50, 25];

/// Why a file cannot be somebody's photograph.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    /// The file has more than [`SOURCE_BYTES_MAX`] bytes.
    #[error("the file is larger than 8 MiB")]
    FileTooLarge,
    /// Neither JPEG nor PNG.
    #[error("the file is neither JPEG nor PNG")]
    Format,
    /// A side is longer than [`SOURCE_SIDE_MAX`], or decoding would take too much memory.
    #[error("the picture is larger than 24 megapixels or 6000 pixels on a side")]
    TooLarge,
    /// A side is shorter than [`SOURCE_SIDE_MIN`].
    #[error("the picture is smaller than 16 pixels on a side")]
    TooSmall,
    /// It cannot be decoded.
    #[error("the picture is damaged")]
    Damaged,
}

/// Decodes a JPEG or PNG file and writes it anew: turned as its metadata says, on white where it was
/// transparent, at most [`SIDE_MAX`] pixels on a side and [`JPEG_BYTES_MAX`] bytes.
///
/// # Errors
/// When the file is no such picture or too large.
pub fn normalise(file: &[u8]) -> Result<Vec<u8>, PhotoError> {
    if file.len() > SOURCE_BYTES_MAX {
        return Err(PhotoError::FileTooLarge);
    }
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|_| PhotoError::Format)?;
    if !matches!(reader.format(), Some(ImageFormat::Jpeg | ImageFormat::Png)) {
        return Err(PhotoError::Format);
    }
    if reader.format() == Some(ImageFormat::Jpeg) && !is_whole(file) {
        return Err(PhotoError::Damaged);
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(SOURCE_SIDE_MAX);
    limits.max_image_height = Some(SOURCE_SIDE_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| refused(&error))?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > SOURCE_SIDE_MAX || decoder.total_bytes() > DECODED_BYTES_MAX {
        return Err(PhotoError::TooLarge);
    }
    if width.min(height) < SOURCE_SIDE_MIN {
        return Err(PhotoError::TooSmall);
    }
    let orientation = decoder.orientation().map_err(|error| refused(&error))?;
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| refused(&error))?;
    let mut picture = if width.max(height) > SIDE_MAX {
        picture.resize(SIDE_MAX, SIDE_MAX, FilterType::Triangle)
    } else {
        picture
    };
    picture.apply_orientation(orientation);
    encode(&on_white(&picture))
}

/// Whether a JPEG goes on to its end. Decoders paint what is missing grey, and nobody would know.
fn is_whole(jpeg: &[u8]) -> bool {
    // The end (FFD9) behind the beginning of the last scan (FFDA); a small picture in the metadata
    // has an end of its own before that. Inside a scan neither can stand.
    let last = |marker: &[u8]| jpeg.windows(2).rposition(|pair| pair == marker);
    last(b"\xFF\xD9").is_some_and(|end| last(b"\xFF\xDA").is_some_and(|scan| scan < end))
}

/// Transparent parts become white: a JPEG has no transparency.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let source = picture.to_rgba8();
    let mut out = RgbImage::new(source.width(), source.height());
    for (from, to) in source.pixels().zip(out.pixels_mut()) {
        let [red, green, blue, alpha] = from.0;
        let blend = |colour: u8| {
            let (colour, alpha) = (u32::from(colour), u32::from(alpha));
            let mixed = (colour * alpha + 255 * (255 - alpha) + 127) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        *to = Rgb([blend(red), blend(green), blend(blue)]);
    }
    out
}

fn encode(picture: &RgbImage) -> Result<Vec<u8>, PhotoError> {
    for quality in QUALITIES {
        let mut jpeg = Vec::new();
        picture
            .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, quality))
            .map_err(|error| refused(&error))?;
        if jpeg.len() <= JPEG_BYTES_MAX {
            return Ok(jpeg);
        }
    }
    Err(PhotoError::TooLarge)
}

fn refused(error: &image::ImageError) -> PhotoError {
    match error {
        image::ImageError::Limits(_) => PhotoError::TooLarge,
        image::ImageError::Unsupported(_) => PhotoError::Format,
        _ => PhotoError::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;
    use image::codecs::png::PngEncoder;

    fn png(width: u32, height: u32, colour: [u8; 4]) -> Vec<u8> {
        let picture = image::RgbaImage::from_pixel(width, height, Rgba(colour));
        let mut out = Vec::new();
        picture
            .write_with_encoder(PngEncoder::new(&mut out))
            .unwrap();
        out
    }

    fn decoded(jpeg: &[u8]) -> RgbImage {
        image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg)
            .unwrap()
            .to_rgb8()
    }

    #[test]
    fn a_picture_is_made_small_and_keeps_its_shape() {
        let made = decoded(&normalise(&png(1200, 600, [200, 30, 30, 255])).unwrap());
        assert_eq!(made.dimensions(), (SIDE_MAX, SIDE_MAX / 2));
        let [red, green, _] = made.get_pixel(9, 9).0;
        assert!(red > 180 && green < 60);
        let small = decoded(&normalise(&png(64, 64, [0, 0, 0, 255])).unwrap());
        assert_eq!(small.dimensions(), (64, 64));
    }

    #[test]
    fn transparent_parts_become_white() {
        let made = decoded(&normalise(&png(32, 32, [0, 0, 0, 0])).unwrap());
        assert!(made.pixels().all(|p| p.0.iter().all(|c| *c > 250)));
    }

    #[test]
    fn metadata_turns_the_picture_and_is_left_behind() {
        let mut plain = Vec::new();
        let mut picture = RgbImage::from_pixel(64, 32, Rgb([255, 255, 255]));
        for x in 0..8 {
            for y in 0..32 {
                picture.put_pixel(x, y, Rgb([0, 0, 0]));
            }
        }
        picture
            .write_with_encoder(JpegEncoder::new_with_quality(&mut plain, 95))
            .unwrap();
        // An Exif block that says "turn right", with a secret behind it.
        let mut tiff =
            b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        tiff.extend_from_slice(b"52.5200N 13.4050E somewhere private");
        let mut file = plain[..2].to_vec();
        file.extend_from_slice(&[0xFF, 0xE1]);
        file.extend_from_slice(&u16::try_from(tiff.len() + 2).unwrap().to_be_bytes());
        file.extend_from_slice(&tiff);
        file.extend_from_slice(&plain[2..]);
        file.extend_from_slice(b"<script>behind the picture</script>");
        let jpeg = normalise(&file).unwrap();
        let made = decoded(&jpeg);
        assert_eq!(made.dimensions(), (32, 64), "turned");
        assert!(made.get_pixel(16, 2).0[0] < 60 && made.get_pixel(16, 60).0[0] > 200);
        for left in [&b"private"[..], b"Exif", b"<script>"] {
            assert!(!jpeg.windows(left.len()).any(|part| part == left));
        }
    }

    #[test]
    fn what_is_no_picture_is_refused_with_its_reason() {
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>";
        let gif = b"GIF89a\x01\0\x01\0\0\0\0;";
        for file in [&b""[..], svg, gif, b"#!/bin/sh\n", &[0; 64]] {
            assert_eq!(normalise(file), Err(PhotoError::Format));
        }
        let whole = png(64, 64, [1, 2, 3, 255]);
        for cut in [9, 20, 40, whole.len() / 2] {
            assert_eq!(normalise(&whole[..cut]), Err(PhotoError::Damaged), "{cut}");
        }
        let jpeg = normalise(&whole).unwrap();
        for cut in [9, 200, jpeg.len() - 3] {
            assert_eq!(normalise(&jpeg[..cut]), Err(PhotoError::Damaged), "{cut}");
        }
        assert_eq!(normalise(&png(15, 64, [0; 4])), Err(PhotoError::TooSmall));
        let endless = vec![0xFF; SOURCE_BYTES_MAX + 1];
        assert_eq!(normalise(&endless), Err(PhotoError::FileTooLarge));
    }

    /// A head that promises an enormous picture costs no memory and no time.
    #[test]
    fn a_small_file_of_an_enormous_picture_is_refused_before_it_is_decoded() {
        let mut bomb = png(64, 64, [0; 4]);
        for side in [SOURCE_SIDE_MAX + 1, 60_000, 0x7FFF_FFFF] {
            bomb[16..20].copy_from_slice(&side.to_be_bytes());
            bomb[20..24].copy_from_slice(&side.to_be_bytes());
            // The checksum of the head must be right, or it is only a damaged file.
            let sum = crc32(&bomb[12..29]);
            bomb[29..33].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(normalise(&bomb), Err(PhotoError::TooLarge), "{side}");
        }
        // Within the limits of its sides, but not of memory: eight bytes a pixel.
        bomb[16..20].copy_from_slice(&SOURCE_SIDE_MAX.to_be_bytes());
        bomb[20..24].copy_from_slice(&SOURCE_SIDE_MAX.to_be_bytes());
        bomb[24] = 16;
        let sum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(normalise(&bomb), Err(PhotoError::TooLarge));
    }

    #[test]
    fn a_picture_of_noise_stays_within_the_limit_of_bytes() {
        let mut state = 1_u32;
        let noise = RgbImage::from_fn(400, 400, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, _] = state.to_be_bytes();
            Rgb([a, b, c])
        });
        let mut file = Vec::new();
        noise
            .write_with_encoder(PngEncoder::new(&mut file))
            .unwrap();
        let jpeg = normalise(&file).unwrap();
        assert!(jpeg.len() <= JPEG_BYTES_MAX, "{}", jpeg.len());
        assert_eq!(decoded(&jpeg).dimensions(), (SIDE_MAX, SIDE_MAX));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn a_bent_picture_is_read_or_refused(at in 0_usize..2_000, value: u8, cut in 0_usize..2_000) {
            let mut jpeg = normalise(&png(48, 32, [10, 200, 90, 255])).unwrap();
            let length = jpeg.len();
            jpeg[at % length] = value;
            jpeg.truncate(length - cut % length);
            let _ = normalise(&jpeg);
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut sum = u32::MAX;
        for byte in bytes {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = if sum & 1 == 1 {
                    (sum >> 1) ^ 0xEDB8_8320
                } else {
                    sum >> 1
                };
            }
        }
        !sum
    }
}

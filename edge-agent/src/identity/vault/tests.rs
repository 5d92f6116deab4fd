//! What stands in files, and the form of signatures. The rest needs a token: see `identity::tests::token`.

use super::key::signature;
use super::reference::{Damaged, KeyId, Point, Reference};

fn point() -> Point {
    let mut point = [7; 65];
    point[0] = 4;
    Point(point)
}

#[test]
fn what_names_a_key_is_read_as_it_was_written_among_other_lines_and_with_and_without_the_public_half() {
    for point in [None, Some(point())] {
        let reference = Reference { id: KeyId::random().unwrap(), point };
        let text = reference.text();
        assert_eq!(text.lines().next().unwrap().len(), "pkcs11:id=;type=private".len() + 48);
        assert_eq!(Reference::find(text.as_bytes()), Ok(Some(reference)));
        let among =
            format!("In place of: 00\n{text}-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
        assert_eq!(Reference::find(among.as_bytes()), Ok(Some(reference)));
    }
    assert_eq!(Reference::find(b""), Ok(None));
    assert_eq!(Reference::find(b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"), Ok(None));
}

#[test]
fn what_names_a_key_and_is_damaged_names_none() {
    let whole = Reference { id: KeyId([0xa1; 16]), point: Some(point()) }.text();
    for damaged in [
        &whole[..20],
        &whole[..whole.len() - 30],
        &whole.replacen("%A1", "", 1),
        &whole.replacen("%A1", "%A1%A1", 1),
        &whole.replacen("%A1", "%G1", 1),
        &whole.replacen("%A1", "%é", 1),
        &whole.replacen(";type=private", "", 1),
        &whole.replacen("MFkw", "MFkx", 1),
    ] {
        assert_eq!(Reference::find(damaged.as_bytes()), Err(Damaged), "{damaged}");
    }
}

#[test]
fn a_point_is_taken_in_its_octet_string_or_without_and_nothing_else_is() {
    let bare = point();
    let wrapped = [&[0x04, 0x41][..], &bare.0].concat();
    assert_eq!(Point::told(&wrapped), Some(bare));
    assert_eq!(Point::told(&bare.0), Some(bare));
    let compressed = [&[0x02][..], &[7; 32]].concat();
    for none in [&[][..], &wrapped[..66], &bare.0[..64], &compressed, &[5; 65]] {
        assert_eq!(Point::told(none), None, "{none:?}");
    }
}

#[test]
fn the_numbers_of_a_signature_are_as_short_as_they_can_be_and_never_negative() {
    let number = |digits: &[u8]| {
        let mut number = [0; 32];
        number[32 - digits.len()..].copy_from_slice(digits);
        number
    };
    assert_eq!(signature(&number(&[1]), &number(&[0x80])), [0x30, 7, 2, 1, 1, 2, 2, 0, 0x80]);
    assert_eq!(signature(&number(&[]), &number(&[0x7f, 0])), [0x30, 7, 2, 1, 0, 2, 2, 0x7f, 0]);
    let longest = signature(&[0xff; 32], &[0xff; 32]);
    assert_eq!((longest.len(), &longest[..5]), (72, &[0x30, 70, 2, 33, 0][..]));
}

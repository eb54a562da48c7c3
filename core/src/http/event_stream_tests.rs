//! Frames written here after the format's description, and Amazon's published vectors where they lie beside the
//! checkout.

use std::fs;
use std::path::Path;

use super::*;

/// One frame, written after the format's description.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let mut out = ((SMALLEST + head.len() + payload.len()) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(head.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out
}

/// CRC-32/ISO-HDLC, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    })
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    frame(&[(":event-type", name), (":message-type", "event")], payload.as_bytes())
}

type Seen = (String, String, bool);

/// What comes of a body in pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Result<()>) {
    let mut seen = Vec::new();
    let mut parser = EventStreamParser::new(64 << 10);
    let mut on = |f: Frame<'_>| {
        seen.push((f.event.to_owned(), String::from_utf8_lossy(f.data).into_owned(), f.fault));
        Ok(())
    };
    let told = pieces.into_iter().try_for_each(|piece| parser.push(piece, &mut on));
    let told = told.and_then(|()| parser.finish(&mut on));
    (seen, told)
}

#[test]
fn equal_however_it_is_cut() {
    let exception = frame(&[(":exception-type", "throttlingException"), (":message-type", "exception")], b"{}");
    let error = frame(
        &[(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "it \"broke\"")],
        b"",
    );
    let body = [event("messageStart", "{\"role\":\"assistant\"}"), event("x", ""), exception, error].concat();
    let (want, told) = read([&body[..]]);
    told.unwrap();
    assert_eq!(
        want,
        [
            ("messageStart".into(), "{\"role\":\"assistant\"}".into(), false),
            ("x".into(), String::new(), false),
            ("throttlingException".into(), "{}".into(), true),
            ("InternalFailure".into(), "{\"message\":\"it \\\"broke\\\"\"}".into(), true),
        ]
    );
    for cut in 0..=body.len() {
        let (seen, told) = read([&body[..cut], &body[cut..]]);
        assert!(told.is_ok() && seen == want, "cut at {cut}: {told:?}");
    }
    assert_eq!(read(body.chunks(1)).0, want);
}

#[test]
fn a_body_that_ends_inside_a_frame_is_interrupted() {
    let (first, second) = (event("a", "{}"), event("b", "{}"));
    let body = [first.clone(), second].concat();
    for end in 1..body.len() {
        let (seen, told) = read([&body[..end]]);
        assert_eq!(seen.len(), usize::from(end >= first.len()), "ends at {end}");
        assert_eq!(
            told.err().map(|e| e.kind()),
            (end != first.len()).then_some(ErrorKind::Interrupted),
            "ends at {end}"
        );
    }
}

#[test]
fn any_bit_that_flips_is_noticed() {
    let body = event("messageStart", "{\"role\":\"assistant\"}");
    for bit in 0..body.len() * 8 {
        let mut bad = body.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let (seen, told) = read([&bad[..]]);
        assert_eq!((seen.len(), told.err().map(|e| e.kind())), (0, Some(ErrorKind::Decode)), "bit {bit}");
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_prelude() {
    let mut prelude = (1_u32 << 20).to_be_bytes().to_vec();
    prelude.extend_from_slice(&0_u32.to_be_bytes());
    prelude.extend_from_slice(&crc32(&prelude).to_be_bytes());
    let mut parser = EventStreamParser::new(1 << 16);
    let told = prelude.chunks(1).try_for_each(|piece| parser.push(piece, |_| Ok(())));
    assert_eq!(told.unwrap_err().kind(), ErrorKind::Decode);
    assert!(parser.frame.capacity() < 1 << 10);
}

#[test]
fn json_in_place_of_frames_is_one_frame() {
    let body = b"{\"message\": \"The security token is expired\"}\n";
    for cut in 0..=body.len() {
        let (seen, told) = read([&body[..cut], &body[cut..]]);
        told.unwrap();
        assert_eq!(seen, [(String::new(), "{\"message\": \"The security token is expired\"}".into(), false)]);
    }
    let mut parser = EventStreamParser::new(16);
    let told = body.chunks(4).try_for_each(|piece| parser.push(piece, |_| Ok(())));
    assert_eq!(told.unwrap_err().kind(), ErrorKind::Decode);
}

#[test]
#[allow(clippy::print_stdout)]
fn published_vectors() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/native/aws-eventstream");
    let bins = |folder: &str| -> Vec<_> {
        let listed = fs::read_dir(dir.join(folder)).into_iter().flatten().flatten().map(|entry| entry.path());
        listed.filter(|path| path.extension().is_some_and(|end| end == "bin")).collect()
    };
    let mut ran = 0;
    for path in ["smithy-rs", "smithy-ts/encoded/positive", "smithy-ts/encoded/negative"].iter().flat_map(|f| bins(f)) {
        let name = path.to_string_lossy().into_owned();
        let body = fs::read(&path).unwrap();
        let (seen, told) = read([&body[..]]);
        let (seen_in_bytes, told_in_bytes) = read(body.chunks(1));
        assert_eq!((&seen, told.is_ok()), (&seen_in_bytes, told_in_bytes.is_ok()), "{name}");
        let good = !name.contains("invalid") && !name.contains("negative");
        assert_eq!((seen.len(), told.is_ok()), (usize::from(good), good), "{name}: {told:?}");
        if let Err(e) = told {
            assert_eq!(e.kind(), ErrorKind::Decode, "{name}: {e}");
        }
        ran += 1;
    }
    println!("published vectors of the event stream: {ran} ran");
    assert!(ran == 0 || ran == 20, "{ran} vectors");
}

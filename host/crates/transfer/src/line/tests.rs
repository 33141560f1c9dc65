use std::io;

use mortise_store::{Attribute, Digest, Draft, Key, Stamp, Stored};

use super::*;

fn stored(id: &str, body: &[u8]) -> Stored {
    let mut draft = Draft::new(Key::new("task", id), body);
    draft.attributes = vec![
        Attribute::new("b", ""),
        Attribute::new("a", "\0\u{1F980}\n"),
    ];
    let stamp = Stamp {
        create_revision: 1,
        mod_revision: u64::MAX,
        created_at: 0,
        updated_at: 7,
    };
    Stored { draft, stamp }
}

fn exported(records: &[Stored]) -> Vec<u8> {
    let mut file = Vec::new();
    write_header(&mut file, None).unwrap();
    for record in records {
        write_record(&mut file, record).unwrap();
    }
    let sha256 = Digest::of(&file);
    write_trailer(&mut file, records.len() as u64, sha256).unwrap();
    file
}

fn read(file: &[u8]) -> Result<Vec<Stored>, BadLine> {
    let mut reader = Reader::new(file, 1 << 20)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next()? {
        records.push(record);
    }
    Ok(records)
}

fn fault(file: &str) -> (u64, String) {
    let fault = read(file.as_bytes()).unwrap_err();
    (fault.line, fault.what)
}

const HEADER: &str = r#"{"format":"mortise-export","version":1}"#;
const RECORD: &str = r#"{"collection":"c","id":"i","body":"","attributes":[],"create_revision":1,"mod_revision":1,"created_at":1,"updated_at":1}"#;

#[test]
fn every_byte_survives() {
    let all: Vec<u8> = (0..=255).collect();
    let mut records = vec![
        stored("empty", b""),
        stored("nul", b"a\0b"),
        stored("lines", b"a\r\n\"b\"\\\x7f\x1b"),
        stored("emoji", "\u{1F980}\u{FEFF}\u{2028}e\u{301}".as_bytes()),
        stored("cut", b"\xf0\x9f\xa6"),
        stored("all", &all),
        stored("\0\u{1F980}\"\n", b"x"),
    ];
    records.extend(all.iter().map(|byte| stored(&byte.to_string(), &[*byte])));
    records[0].draft.expires_at = Some(0);
    let file = exported(&records);
    let again = read(&file).unwrap();
    assert_eq!(again, records);
    assert_eq!(exported(&again), file);
    assert_eq!(
        file.iter().filter(|byte| **byte == b'\n').count(),
        records.len() + 2
    );
}

#[test]
fn a_record_is_one_readable_line() {
    let mut line = Vec::new();
    write_record(&mut line, &stored("i", b"{}")).unwrap();
    assert_eq!(
        String::from_utf8(line).unwrap(),
        concat!(
            r#"{"collection":"task","id":"i","body":"{}","attributes":[["b",""],["a","\u0000🦀\n"]],"#,
            r#""create_revision":1,"mod_revision":18446744073709551615,"created_at":0,"updated_at":7}"#,
            "\n"
        )
    );
}

#[test]
fn an_export_of_nothing_is_whole() {
    assert_eq!(read(&exported(&[])).unwrap(), []);
}

#[test]
fn a_file_that_was_cut_off_is_noticed_wherever_it_was_cut() {
    let file = exported(&[stored("a", b"x"), stored("b", b"\xff")]);
    // Only the last line's end may be missing.
    for end in 0..file.len() - 1 {
        assert!(read(&file[..end]).is_err(), "cut at {end}");
    }
    let (line, what) = fault(&format!("{HEADER}\n{RECORD}\n"));
    assert_eq!(line, 3);
    assert!(what.contains("cut off"), "{what}");
}

#[test]
fn a_damaged_line_is_named_with_what_was_expected() {
    let lines = |second: &str| format!("{HEADER}\n{second}\n");
    for (file, at, expected) in [
        (String::new(), 1, "expected the header"),
        ("[]\n".to_owned(), 1, "expected the header"),
        (RECORD.to_owned(), 1, "missing field `format`"),
        (
            r#"{"format":"dump","version":1}"#.to_owned(),
            1,
            r#"expected "mortise-export""#,
        ),
        (
            r#"{"format":"mortise-export","version":2}"#.to_owned(),
            1,
            "version 2, expected 1",
        ),
        (lines(""), 2, "expected a record: EOF"),
        (
            lines(r#"{"collection":"c"}"#),
            2,
            "missing field `id` at column 18",
        ),
        (lines(&RECORD.replace(r#""body":"","#, "")), 2, "found none"),
        (
            lines(
                &RECORD
                    .replace("body", "body_base64")
                    .replace(r#":"","#, r#":"=","#),
            ),
            2,
            "no base64",
        ),
        (
            lines(&RECORD.replace(r#""body""#, r#""body_base64":"","body""#)),
            2,
            "found both",
        ),
        (
            lines(&RECORD.replace("updated_at", "changed_at")),
            2,
            "unknown field `changed_at`",
        ),
        (
            lines(&RECORD.replace(":1", ":-1")),
            2,
            "invalid value: integer `-1`",
        ),
        (
            lines(r#"{"end":{"records":1}}"#),
            2,
            "counts 1 records, the file has 0",
        ),
        (
            lines(&format!(
                r#"{{"end":{{"records":0,"sha256":"{}"}}}}"#,
                Digest::of(b"another")
            )),
            2,
            "another sha256 than the lines before it",
        ),
        (
            format!("{HEADER}\n{{\"end\":{{\"records\":0}}}}\n{RECORD}\n"),
            3,
            "after the trailer",
        ),
    ] {
        let (line, what) = fault(&file);
        assert_eq!(line, at, "{file}");
        assert!(what.contains(expected), "{file}: {what}");
    }
}

#[test]
fn a_line_without_end_does_not_fill_the_memory() {
    let endless = io::BufReader::new(io::repeat(b'['));
    let Err(fault) = Reader::new(endless, 1000) else {
        panic!("it was read")
    };
    assert!(
        fault.what.contains("more than the 1000 bytes"),
        "{}",
        fault.what
    );
    assert!(fault.line == 1);
    let deep = format!("{HEADER}\n{}", "[".repeat(100_000));
    assert!(read(deep.as_bytes()).is_err());
}

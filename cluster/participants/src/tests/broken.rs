//! Books that were torn or broken: nothing is written behind half a line, and whose book cannot be used is away, alone.

use std::path::Path;

use super::*;
use crate::{BookFileError, book_file, problems, repair_book};
use retailflow_os::files::{Files as _, RealFiles};

fn on(files: &FaultyFiles) -> SimulatedParticipants {
    let options = options(SimOptions::default(), FaultRates::NONE);
    open_on(files, Path::new("/books"), &options, Arc::new(Noon), Arc::new(|_| {})).unwrap()
}

async fn is_away(running: &SimulatedParticipants, role: Role) -> bool {
    let step = match role {
        Role::Inventory => Step::Reserve,
        Role::Payments => Step::Authorize,
        Role::Shipping => Step::Book,
        Role::Review => Step::Review,
    };
    let participants = running.participants();
    let asked = request(77, step, "x", None);
    let answer = participants.of(role).perform(&asked).await;
    let standing = participants.of(role).query(&asked).await;
    match (answer, standing) {
        (StepAnswer::Unknown { .. }, KeyStanding::Unknown { .. }) => true,
        (StepAnswer::Done(_), KeyStanding::Answered(StepAnswer::Done(_))) => false,
        other => panic!("{other:?}"),
    }
}

fn lines(files: &FaultyFiles, role: Role) -> Result<u64, BookFileError> {
    let mut lines = 0;
    book_file::read(files, Path::new("/books"), role, &mut |_| lines += 1).map(|_| lines)
}

/// After a write that took a part of a line, and could not be taken back at once, the next line went nowhere ever more; had it gone on,
/// it would have stood behind half a line. The room comes back, and so does the participant, whatever was left of the line.
#[tokio::test]
async fn half_a_line_is_taken_back_before_anything_is_written_behind_it() {
    for part in 0..300 {
        let files = FaultyFiles::new(Faults::default());
        let running = on(&files);
        let participants = running.participants();
        assert!(perform(&participants, &request(1, Step::Authorize, "a", None)).await.is_some());
        // The disk takes `part` bytes of the line and no more, and cuts nothing.
        files.set_faults(|faults| {
            faults.write_max_bytes = Some(1);
            faults.room_bytes = Some(part);
            faults.fail_set_len = true;
        });
        let second = request(2, Step::Authorize, "a", None);
        for _ in 0..2 {
            let answer = participants.payments.perform(&second).await;
            assert!(!matches!(answer, StepAnswer::Done(_)) || part > 60, "part {part}: {answer:?}");
        }
        files.set_faults(|faults| *faults = Faults::default());
        for order in 3..6 {
            let done = perform(&participants, &request(order, Step::Authorize, "a", None)).await;
            assert!(done.is_some(), "part {part}: it does not come back");
        }
        assert!(perform(&participants, &second).await.is_some());
        running.close().await;
        assert_eq!(lines(&files, Role::Payments).unwrap(), 5, "part {part}");
    }
}

/// A process that ends on a full disk, its last line in pieces, starts on it again and again, and goes on when there is room.
#[tokio::test]
async fn a_torn_end_at_every_byte_is_cut_and_starts_on_a_full_disk_use_nothing_up() {
    let files = FaultyFiles::new(Faults::default());
    let running = on(&files);
    for order in 0..3 {
        life(&running.participants(), order).await;
    }
    running.close().await;
    let whole = files.disk();
    let line = {
        let files = FaultyFiles::on(whole.clone(), Faults::default());
        let running = on(&files);
        drop(running.participants().payments.perform(&request(9, Step::Authorize, "a", None)).await);
        running.close().await;
        let book = files.open(Path::new("/books/payments.book"), false).unwrap();
        let old = FaultyFiles::on(whole.clone(), Faults::default());
        let start = old.open(Path::new("/books/payments.book"), false).unwrap().size_bytes().unwrap();
        let mut line = vec![0; 4096];
        let length = book.read_full_at(start, &mut line).unwrap();
        line.truncate(length);
        (start, line)
    };
    let (at, line) = line;
    assert!(line.len() > 40 && line.ends_with(b"\n"));
    for torn in 1..line.len() {
        let files = FaultyFiles::on(whole.clone(), Faults::default());
        let book = files.open(Path::new("/books/payments.book"), true).unwrap();
        book.write_all_at(at, &line[..torn]).unwrap();
        drop(book);
        let before = lines(&files, Role::Payments).unwrap();
        for _ in 0..3 {
            files.set_faults(|faults| faults.room_bytes = Some(0));
            let running = on(&files);
            assert!(is_away(&running, Role::Payments).await, "torn {torn}");
            running.close().await;
        }
        files.set_faults(|faults| faults.room_bytes = None);
        let names = files.list(Path::new("/books")).unwrap();
        assert!(!names.iter().any(|name| name.contains("torn")), "torn {torn}: {names:?}");
        let running = on(&files);
        assert!(!is_away(&running, Role::Payments).await, "torn {torn}");
        running.close().await;
        assert_eq!(lines(&files, Role::Payments).unwrap(), before + 1, "torn {torn}");
        let names = files.list(Path::new("/books")).unwrap();
        assert!(names.iter().any(|name| name == "payments.book.torn-1"), "torn {torn}: {names:?}");
    }
}

/// What is done to a book, and whether it can be mended where it stands.
type Breaking = (&'static str, fn(&Path), bool);

const BREAKINGS: [Breaking; 6] = [
    ("garbage in the middle", |path| change(path, |bytes| bytes[9] = b'!'), true),
    ("two lines in one", |path| change(path, join_lines), true),
    ("nothing but garbage", |path| change(path, |bytes| *bytes = b"no book".to_vec()), true),
    ("cut to nothing", |path| change(path, Vec::clear), true),
    ("gone", |path| std::fs::remove_file(path).unwrap(), true),
    ("a folder in its place", in_place, false),
];

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    how(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn join_lines(bytes: &mut Vec<u8>) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    bytes.drain(end - 4..=end);
}

fn in_place(path: &Path) {
    std::fs::remove_file(path).unwrap();
    std::fs::create_dir(path).unwrap();
}

#[tokio::test]
async fn whose_book_is_broken_is_away_alone_and_a_mended_one_comes_back() {
    for (what, breaking, mendable) in BREAKINGS {
        for role in Role::ALL {
            let folder = tempfile::tempdir().unwrap();
            let running = start(folder.path(), FaultRates::NONE);
            for order in 0..4 {
                life(&running.participants(), order).await;
            }
            running.close().await;
            let path = book_file::path_of(folder.path(), role);
            breaking(&path);
            let running = start(folder.path(), FaultRates::NONE);
            let told = why_not(&running, role);
            assert!(told.contains(&*path.to_string_lossy()), "{what}: {told}");
            for other in Role::ALL {
                assert_eq!(is_away(&running, other).await, other == role, "{what} of {role:?}: {other:?}");
            }
            running.close().await;
            let found: Vec<Role> = problems(folder.path()).into_iter().map(|(role, _)| role).collect();
            assert_eq!(found, [role], "{what}");
            let mended = repair_book(&RealFiles::default(), folder.path(), role);
            assert_eq!(mended.is_ok(), mendable, "{what} of {role:?}: {mended:?}");
            if !mendable {
                continue;
            }
            assert!(problems(folder.path()).is_empty(), "{what}");
            let running = start(folder.path(), FaultRates::NONE);
            assert_eq!(running.unusable().count(), 0, "{what}");
            assert!(!is_away(&running, role).await, "{what}");
            running.close().await;
        }
    }
}

/// A mending that was broken off at any operation is done again, and loses no whole line.
#[tokio::test]
async fn a_mending_that_is_broken_off_is_done_again() {
    let files = FaultyFiles::new(Faults::default());
    let running = on(&files);
    for order in 0..4 {
        life(&running.participants(), order).await;
    }
    running.close().await;
    // So that it is known, durably, how far it was on disk.
    on(&files).close().await;
    let path = Path::new("/books/payments.book");
    files.open(path, true).unwrap().write_all_at(9, b"!").unwrap();
    files.open(path, true).unwrap().sync_data().unwrap();
    let broken = files.disk();
    let whole = {
        let files = FaultyFiles::on(broken.clone(), Faults::default());
        repair_book(&files, Path::new("/books"), Role::Payments).unwrap().lines
    };
    assert!(whole > 4, "{whole}");
    for cut in 1..40 {
        let faults = Faults { cut_power_at: Some(cut), ..Faults::default() };
        let files = FaultyFiles::on(broken.clone(), faults);
        drop(repair_book(&files, Path::new("/books"), Role::Payments));
        for seed in 0..4 {
            let files = FaultyFiles::on(files.disk().after_power_cut(seed), Faults::default());
            if lines(&files, Role::Payments).is_err() {
                drop(repair_book(&files, Path::new("/books"), Role::Payments).unwrap());
            }
            assert_eq!(lines(&files, Role::Payments).unwrap(), whole, "cut {cut}, seed {seed}");
        }
    }
}

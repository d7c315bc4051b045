//! Damage: seen, or harmless; never a wrong answer, never a hang.

use std::path::PathBuf;

use super::*;

const ORDERS: u64 = 900;

/// A closed index of a few runs, and its model. Each run has several blocks.
fn make(folder: &Path) -> (PathBuf, Model) {
    let dir = folder.join("index");
    let index = Index::open(&dir, options(400), LOG).unwrap().0;
    let mut rng = fastrand::Rng::with_seed(11);
    let mut model = Model::default();
    for position in 1..=12 {
        let mut draw = || {
            let order = rng.u64(0..ORDERS);
            OrderUpdate {
                key: key(order),
                place: place(position, (!order.is_multiple_of(4)).then(|| rng.i64(..))),
            }
        };
        let updates = (0..100).map(|_| draw()).collect();
        let controls = vec![(vec![b'c', rng.u8(..6)], Some(vec![rng.u8(..); 30]))];
        let meta = Some(vec![rng.u8(..); 9_000]);
        model.push(Frame { updates, controls, meta });
        feed(&index, model.frames.last().unwrap(), position).unwrap();
        if position % 4 == 0 {
            index.flush_blocking().unwrap();
        }
    }
    index.save_snapshot(key(1), vec![1; 9_000]);
    index.close().unwrap();
    (dir, model)
}

/// Opens what is in `dir` and asks for everything; the index may be behind, but must then be right for its cursor.
fn ask(dir: &Path, model: &Model, verify_max_bytes: u64) -> Result<u64, IndexError> {
    let (index, stored) = Index::open(dir, IndexOptions { verify_max_bytes, ..options(400) }, LOG)?;
    model.at(stored.position).check(&index, 0..ORDERS)?;
    Ok(stored.position)
}

fn edit(dir: &Path, change: impl FnOnce(&sled::Db)) {
    let db = sled::Config::new().path(dir).flush_every_ms(None).open().unwrap();
    change(&db);
    db.flush().unwrap();
}

fn entries(dir: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    edit(dir, |db| {
        for name in db.tree_names().into_iter().filter(|name| !name.starts_with(b"snapshots")) {
            let keys = db.open_tree(&name).unwrap().iter().keys();
            found.extend(keys.map(|key| (name.to_vec(), key.unwrap().to_vec())));
        }
    });
    found
}

/// The files of runs.
fn runs(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(dir.join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_entry_of_sled_that_is_missing_or_changed_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, model) = make(folder.path());
    assert_eq!(ask(&dir, &model, u64::MAX), Ok(12));
    let entries = entries(&dir);
    // The manifest, two pieces of the meta blob, controls.
    assert!(entries.len() > 5, "{} keys", entries.len());
    let mut rng = fastrand::Rng::with_seed(2);
    for (number, (tree, key)) in entries.iter().enumerate() {
        let copy = folder.path().join("copy");
        for flip in [false, true] {
            copy_folder(&dir, &copy);
            edit(&copy, |db| {
                let tree = db.open_tree(tree).unwrap();
                let mut value = tree.remove(key).unwrap().unwrap().to_vec();
                if flip {
                    let at = rng.usize(..value.len());
                    value[at] ^= 1 << rng.u8(..8);
                    tree.insert(key, value).unwrap();
                }
            });
            // Once found on opening, once on reading.
            let verify = if (number + usize::from(flip)) % 2 == 0 { 0 } else { u64::MAX };
            let answer = ask(&copy, &model, verify);
            assert!(
                matches!(answer, Err(IndexError::Damaged(_))),
                "{tree:?} {key:?}, flip {flip}: {answer:?}"
            );
            Index::destroy(&copy).unwrap();
        }
    }
}

#[test]
fn every_file_that_is_missing_cut_or_changed_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, model) = make(folder.path());
    let copy = folder.path().join("copy");
    let mut rng = fastrand::Rng::with_seed(2);
    let files = runs(&dir).len();
    assert!(files >= 6, "{files} files");
    for number in 0..files {
        for round in 0..8 {
            copy_folder(&dir, &copy);
            let file = runs(&copy).swap_remove(number);
            let mut bytes = std::fs::read(&file).unwrap();
            let at = rng.usize(..bytes.len());
            match round {
                0 => std::fs::remove_file(&file).unwrap(),
                1 => std::fs::write(&file, &bytes[..at]).unwrap(),
                2 => {
                    // What a power cut leaves of what was not synced.
                    bytes[at..].fill(0);
                    std::fs::write(&file, &bytes).unwrap();
                }
                _ => {
                    bytes[at] ^= 1 << rng.u8(..8);
                    std::fs::write(&file, &bytes).unwrap();
                }
            }
            let changed = std::fs::read(&file).ok() != std::fs::read(&runs(&dir)[number]).ok();
            let answer = ask(&copy, &model, if round % 2 == 0 { 0 } else { u64::MAX });
            let seen = matches!(answer, Err(IndexError::Damaged(_)));
            assert!(seen == changed, "{}, round {round}, at {at}: {answer:?}", file.display());
            Index::destroy(&copy).unwrap();
        }
    }
}

#[test]
fn swapped_files_and_other_logs_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, model) = make(folder.path());
    let copy = folder.path().join("copy");
    copy_folder(&dir, &copy);
    let files = runs(&copy);
    let orders = files.iter().filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with('o'));
    let [first, second, ..] = orders.collect::<Vec<_>>()[..] else { panic!("{files:?}") };
    let bytes = std::fs::read(first).unwrap();
    std::fs::copy(second, first).unwrap();
    std::fs::write(second, bytes).unwrap();
    assert!(matches!(ask(&copy, &model, 0), Err(IndexError::Damaged(_))));
    Index::destroy(&copy).unwrap();
    copy_folder(&dir, &copy);
    let other_log = Index::open(&copy, options(10), [8; 16]);
    assert!(matches!(other_log, Err(IndexError::Damaged(_))));
}

#[test]
fn an_index_of_a_former_format_is_built_again() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, model) = make(folder.path());
    edit(&dir, |db| {
        let tree = db.open_tree(b"main").unwrap();
        let mut manifest = tree.get(b"m").unwrap().unwrap().to_vec();
        manifest[0] = 1;
        let body = manifest.len() - 4;
        let crc = crc32c::crc32c(&manifest[..body]);
        manifest[body..].copy_from_slice(&crc.to_le_bytes());
        tree.insert(b"m", manifest).unwrap();
    });
    let answer = ask(&dir, &model, 0);
    assert!(matches!(&answer, Err(IndexError::Damaged(why)) if why.contains("format")), "{answer:?}");
}

#[test]
fn snapshots_that_are_damaged_are_none_and_harm_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, model) = make(folder.path());
    edit(&dir, |db| {
        let tree = db.open_tree(b"snapshots-0").unwrap();
        assert_eq!(tree.len(), 2);
        let (last, _) = tree.last().unwrap().unwrap();
        tree.remove(last).unwrap();
    });
    assert_eq!(ask(&dir, &model, 0), Ok(12));
    let index = Index::open(&dir, options(10), LOG).unwrap().0;
    assert_eq!(index.load_snapshot(&key(1)), None);
}

#[test]
fn an_older_copy_comes_back_with_the_older_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, mut model) = make(folder.path());
    let copy = folder.path().join("copy");
    copy_folder(&dir, &copy);
    let index = Index::open(&dir, options(10), LOG).unwrap().0;
    let mut rng = fastrand::Rng::with_seed(4);
    for position in 13..60 {
        model.push(draw_frame(&mut rng, position, ORDERS));
        feed(&index, model.frames.last().unwrap(), position).unwrap();
    }
    index.close().unwrap();
    assert_eq!(ask(&dir, &model, 0), Ok(59));
    assert_eq!(ask(&copy, &model, 0), Ok(12));
}

#[test]
fn files_cut_or_flipped_are_seen_or_right() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, model) = make(folder.path());
    let file = std::fs::read(dir.join("db")).unwrap();
    let copy = folder.path().join("copy");
    let mut rng = fastrand::Rng::with_seed(6);
    for number in 0..60 {
        copy_folder(&dir, &copy);
        let mut bytes = file.clone();
        if number % 3 == 0 {
            bytes.truncate(rng.usize(..file.len()));
        } else {
            let at = rng.usize(..file.len());
            let end = file.len().min(at + if number % 3 == 1 { 1 } else { 5_000 });
            bytes[at..end].iter_mut().for_each(|byte| *byte ^= rng.u8(1..));
        }
        std::fs::write(copy.join("db"), bytes).unwrap();
        match ask(&copy, &model, if number % 2 == 0 { 0 } else { u64::MAX }) {
            Ok(_) | Err(IndexError::Damaged(_)) => {}
            Err(other) => panic!("{other}"),
        }
        Index::destroy(&copy).unwrap();
        assert_eq!(Index::open(&copy, options(10), LOG).unwrap().1, Cursor::default());
        Index::destroy(&copy).unwrap();
    }
}

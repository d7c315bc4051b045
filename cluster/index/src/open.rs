//! Opening: everything is read and checked before anything is believed.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::{
    controls,
    files::run_id,
    manifest::{MANIFEST_KEY, Manifest},
    run::{Run, RunInfo},
    shared::RunSets,
    store::{self, Store, folder_bytes},
    types::{IndexError, IndexOptions},
};

/// Slowest reading that opening is given time for.
const SLOWEST_BYTES_PER_MS: u64 = 20_000;
/// Largest piece of the meta blob; see `snapshots.rs` for why not more.
const META_PIECE_BYTES: usize = 7_000;

/// What was found.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) manifest: Manifest,
    pub(super) runs: RunSets,
    pub(super) meta: Option<Arc<[u8]>>,
}

/// Opens the folder, in a bounded time.
pub(super) fn open(dir: &Path, options: &IndexOptions, log_id: [u8; 16]) -> Result<Opened, IndexError> {
    let (folder, wanted) = (dir.to_owned(), options.clone());
    within(dir, options.open_timeout_ms, move || load(&folder, &wanted, log_id))
}

/// Opens a folder in a thread of its own and waits a bounded time: sled may panic on damaged files, or spin. Then that
/// thread is left behind.
pub(crate) fn within<T: Send + 'static>(
    dir: &Path,
    open_timeout_ms: u64,
    load: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    let patience = Duration::from_millis(open_timeout_ms + folder_bytes(dir) / SLOWEST_BYTES_PER_MS);
    let (sender, receiver) = mpsc::channel();
    let opener = thread::Builder::new().name("rf-index-open".into()).spawn(move || {
        let opened = load();
        // No one waits any more: what was opened is closed here.
        drop(sender.send(opened));
    });
    let opener = opener.map_err(|error| IndexError::Io(format!("no thread to open with: {error}")))?;
    match receiver.recv_timeout(patience) {
        Ok(opened) => opened,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(IndexError::Damaged(format!("opening has not ended after {} s", patience.as_secs())))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            drop(opener.join());
            Err(IndexError::Damaged("sled panicked while it was closed".into()))
        }
    }
}

fn open_store(dir: &Path, options: &IndexOptions) -> Result<Store, IndexError> {
    #[cfg_attr(not(test), allow(unused_mut))]
    let mut store = Store::open(dir, options.cache_bytes)?;
    #[cfg(any(test, feature = "faulty"))]
    store.set_faults(&options.faults);
    Ok(store)
}

/// Opens sled again, after it has failed and all have let go of it. Gives `manifest`, which is what is so, with the control
/// entries that are there; the caller stores it. `attempted` is the manifest whose writing failed: it may have come to the disk, and its control entries with it.
pub(super) fn reopen(
    dir: &Path,
    options: &IndexOptions,
    manifest: &Manifest,
    attempted: Option<&Manifest>,
) -> Result<(Store, Manifest), IndexError> {
    let (folder, wanted) = (dir.to_owned(), options.clone());
    let store = within(dir, options.open_timeout_ms, move || open_store(&folder, &wanted))?;
    let damaged = |what: &str| IndexError::Damaged(format!("opened anew after a failed write: {what}"));
    let stored = store::get(store.main(), MANIFEST_KEY)?.ok_or_else(|| damaged("the manifest is missing"))?;
    let stored = Manifest::decode(&stored)?;
    let known = stored.cursor == manifest.cursor
        || attempted.is_some_and(|attempted| stored.cursor == attempted.cursor);
    if stored.log_id != manifest.log_id || !known {
        return Err(damaged("the manifest is another one"));
    }
    // Entries ahead of the cursor do no harm; a sum that is not theirs would.
    let manifest = Manifest { controls: stored.controls, meta: stored.meta, ..manifest.clone() };
    if controls::sum(&store)? != manifest.controls {
        return Err(damaged("control entries are missing or old"));
    }
    Ok((store, manifest))
}

fn load(dir: &Path, options: &IndexOptions, log_id: [u8; 16]) -> Result<Opened, IndexError> {
    let store = open_store(dir, options)?;
    let files = |error: std::io::Error| IndexError::Io(format!("{}: {error}", dir.display()));
    store.runs().make().map_err(files)?;
    let names = store.runs().names().map_err(files)?;
    let highest_id = names.iter().filter_map(|name| run_id(name)).max();
    let Some(stored) = store::get(store.main(), MANIFEST_KEY)? else {
        let rest = store::guarded("list", || store.main().first())?;
        if highest_id.is_some() || rest.is_some() {
            return Err(IndexError::Damaged("the manifest is missing".into()));
        }
        let manifest = Manifest { log_id, ..Manifest::default() };
        let mut batch = sled::Batch::default();
        batch.insert(MANIFEST_KEY, manifest.encode()?);
        store::write(store.main(), batch)?;
        store.flush()?;
        return Ok(Opened { store, manifest, runs: RunSets::default(), meta: None });
    };
    let mut manifest = Manifest::decode(&stored)?;
    if manifest.log_id != log_id {
        return Err(IndexError::Damaged("it is the index of another log".into()));
    }
    // A file that no manifest names is of a flush or merge that was not finished, or of runs merged away.
    let named: Vec<_> = manifest.orders.iter().chain(&manifest.dues).map(|run| run.file_name()).collect();
    if let Some(missing) = named.iter().find(|name| !names.contains(name)) {
        return Err(IndexError::Damaged(format!("run {missing} is missing")));
    }
    for rubbish in names.iter().filter(|name| run_id(name).is_some() && !named.contains(name)) {
        store.runs().remove(rubbish).map_err(files)?;
    }
    manifest.next_run_id = manifest.next_run_id.max(highest_id.map_or(0, |highest| highest + 1));
    let read = |infos: &[RunInfo]| -> Result<Vec<_>, _> {
        infos.iter().map(|info| Run::load(&store, *info).map(Arc::new)).collect()
    };
    let runs = RunSets { orders: read(&manifest.orders)?, dues: read(&manifest.dues)? };
    let all = || runs.orders.iter().chain(&runs.dues);
    if all().map(|run| run.info.block_bytes).sum::<u64>() <= options.verify_max_bytes {
        all().try_for_each(|run| run.verify())?;
    }
    if controls::sum(&store)? != manifest.controls {
        return Err(IndexError::Damaged("control entries are missing or old".into()));
    }
    let meta = manifest.meta.map(|shape| read_meta(&store, shape)).transpose()?;
    Ok(Opened { store, manifest, runs, meta })
}

fn meta_key(piece: u32) -> [u8; 5] {
    let [a, b, c, d] = piece.to_be_bytes();
    [b'h', a, b, c, d]
}

fn read_meta(store: &Store, (length, crc): (u32, u32)) -> Result<Arc<[u8]>, IndexError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    for piece in 0.. {
        if bytes.len() >= length {
            break;
        }
        match store::get(store.main(), &meta_key(piece))? {
            Some(stored) if !stored.is_empty() => bytes.extend_from_slice(&stored),
            _ => return Err(IndexError::Damaged("a piece of the meta blob is missing".into())),
        }
    }
    if bytes.len() != length || crc32c::crc32c(&bytes) != crc {
        return Err(IndexError::Damaged("the meta blob is not the one written".into()));
    }
    Ok(bytes.into())
}

/// Puts the meta blob into the batch and gives what the manifest says of it. `former` is what it said before.
pub(super) fn write_meta(
    meta: &[u8],
    former: Option<(u32, u32)>,
    batch: &mut sled::Batch,
) -> Result<(u32, u32), IndexError> {
    let length = u32::try_from(meta.len()).map_err(|_| IndexError::TooLarge("the meta blob".into()))?;
    let pieces = |length: u32| length.div_ceil(META_PIECE_BYTES as u32);
    for (number, piece) in (0..).zip(meta.chunks(META_PIECE_BYTES)) {
        batch.insert(&meta_key(number), piece);
    }
    for surplus in pieces(length)..pieces(former.map_or(0, |(length, _)| length)) {
        batch.remove(&meta_key(surplus));
    }
    Ok((length, crc32c::crc32c(meta)))
}

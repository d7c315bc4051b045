//! Books in files: one a participant, a line an entry, appended to.
//!
//! Invariant: with [`BookSync::BeforeAnswer`] nobody hears of an entry before it is on disk. One thread a book syncs what
//! was written when it is asked to; whatever is written while it works goes with the next sync, so that many answers share
//! one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use retailflow_engine::ports::{Role, StoreError};
use retailflow_testkit::simulated::{BookEntry, Journal};
use tokio::sync::watch;

use super::book_file::{self, BookFileError};
use retailflow_os::files::{DiskFile, Files, LockError, LockGuard};

/// What participants' answers survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookSync {
    /// A power cut: an entry is on disk before anybody hears of it.
    BeforeAnswer,
    /// The end of the process, and no power cut: books may be behind the log after one. For demos and measurements.
    Never,
}

#[derive(Default)]
struct Tail {
    /// Where the next entry goes.
    length_bytes: u64,
    /// Half a line may stand behind that, which could not be taken back yet.
    torn: bool,
    /// How often something was written.
    written: u64,
    /// Somebody waits for what was written up to here.
    wanted: u64,
    closing: bool,
    failed: Option<Arc<str>>,
}

#[derive(Default)]
struct Synced {
    written: u64,
    failed: Option<Arc<str>>,
}

struct Book {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    mark: Option<Arc<dyn DiskFile>>,
    tail: Mutex<Tail>,
    wake: Condvar,
    synced: watch::Sender<Synced>,
}

/// Appends to the books of a folder, which nobody else may do meanwhile.
pub(super) struct FileJournal {
    /// In the order of [`Role::ALL`]; those that cannot be used with the reason.
    books: Vec<Result<Arc<Book>, Unusable>>,
    sync: BookSync,
    threads: Vec<JoinHandle<()>>,
    _lock: Option<Box<dyn LockGuard>>,
}

#[derive(Clone)]
struct Unusable {
    error: Arc<BookFileError>,
    reason: Arc<str>,
}

impl Unusable {
    fn new(error: Arc<BookFileError>) -> Self {
        Self { reason: error.to_string().into(), error }
    }
}

impl FileJournal {
    /// Opens the books, making those that are not there, and gives what is in them to `take`. One that cannot be used keeps the
    /// others from nothing: whose it is answers nobody.
    ///
    /// # Errors
    /// [`BookFileError::InUse`], and when the system gives no thread.
    pub(super) fn open(
        files: &dyn Files,
        folder: &Path,
        sync: BookSync,
        take: &mut dyn FnMut(BookEntry),
    ) -> Result<Self, BookFileError> {
        let locked = files.create_dir_all(folder).map_err(LockError::Io);
        let (lock, none) = match locked.and_then(|()| files.try_lock(&folder.join("lock"))) {
            Ok(lock) => (Some(lock), None),
            Err(LockError::Held { holder }) => {
                return Err(BookFileError::InUse { folder: folder.to_owned(), holder });
            }
            Err(LockError::Io(cause)) => {
                (None, Some(Unusable::new(Arc::new(BookFileError::io(folder)(cause)))))
            }
        };
        let mut books: Vec<_> = Role::ALL.map(|_| None).into();
        // A capture pays for a parcel, which has to be there.
        for role in [Role::Inventory, Role::Shipping, Role::Payments, Role::Review] {
            let opened = match &none {
                Some(none) => Err(none.clone()),
                None => Book::open(files, folder, role, sync, take)
                    .map(Arc::new)
                    .map_err(|error| Unusable::new(Arc::new(error))),
            };
            books[role as usize] = Some(opened);
        }
        let books: Vec<_> = books.into_iter().flatten().collect();
        let mut threads = Vec::new();
        if sync == BookSync::BeforeAnswer {
            for book in books.iter().flatten() {
                let (of, path) = (Arc::clone(book), book.path.clone());
                let thread = std::thread::Builder::new().name("book-sync".into());
                threads.push(thread.spawn(move || of.run()).map_err(BookFileError::io(&path))?);
            }
        }
        Ok(Self { books, sync, threads, _lock: lock })
    }

    /// The books that could not be opened.
    pub(super) fn unusable(&self) -> impl Iterator<Item = (Role, &Arc<BookFileError>)> {
        let books = Role::ALL.into_iter().zip(&self.books);
        books.filter_map(|(role, book)| Some((role, &book.as_ref().err()?.error)))
    }

    fn book(&self, role: Role) -> Result<&Arc<Book>, Arc<str>> {
        match self.books.get(role as usize) {
            Some(Ok(book)) => Ok(book),
            Some(Err(unusable)) => Err(Arc::clone(&unusable.reason)),
            None => Err("there is no such book".into()),
        }
    }

    /// Whether anything can be answered out of a book.
    ///
    /// # Errors
    /// Why not: it could not be opened, or has failed since.
    pub(super) fn usable(&self, role: Role) -> Result<(), Arc<str>> {
        match &self.book(role)?.tail.lock().failed {
            Some(reason) => Err(Arc::clone(reason)),
            None => Ok(()),
        }
    }

    /// Waits until all that was written in a book so far is on disk.
    ///
    /// # Errors
    /// It cannot be known whether it is.
    pub(super) async fn durable(&self, role: Role) -> Result<(), Arc<str>> {
        let book = self.book(role)?;
        let wanted = {
            let mut tail = book.tail.lock();
            if let Some(reason) = &tail.failed {
                return Err(Arc::clone(reason));
            }
            if self.sync == BookSync::Never || book.synced.borrow().written >= tail.written {
                return Ok(());
            }
            tail.wanted = tail.written;
            tail.written
        };
        book.wake.notify_one();
        let mut synced = book.synced.subscribe();
        let reached = synced.wait_for(|synced| synced.failed.is_some() || synced.written >= wanted).await;
        match reached {
            Ok(synced) if synced.written >= wanted => Ok(()),
            Ok(synced) => Err(synced.failed.clone().unwrap_or_default()),
            Err(_) => Err("the book is closed".into()),
        }
    }

    /// As [`Self::durable`], for all books that could be opened: nothing was written in another.
    pub(super) async fn all_durable(&self) -> Result<(), Arc<str>> {
        for (role, book) in Role::ALL.into_iter().zip(&self.books) {
            if book.is_ok() {
                self.durable(role).await?;
            }
        }
        Ok(())
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        for book in self.books.iter().flatten() {
            book.tail.lock().closing = true;
            book.wake.notify_one();
        }
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Book {
    fn open(
        files: &dyn Files,
        folder: &Path,
        role: Role,
        sync: BookSync,
        take: &mut dyn FnMut(BookEntry),
    ) -> Result<Self, BookFileError> {
        let (file, length_bytes) = book_file::open(files, folder, role, take)?;
        let mark = match sync {
            BookSync::BeforeAnswer => Some(book_file::open_mark(files, folder, role)?),
            BookSync::Never => None,
        };
        Ok(Self {
            path: book_file::path_of(folder, role),
            file,
            mark,
            tail: Mutex::new(Tail { length_bytes, ..Tail::default() }),
            wake: Condvar::new(),
            synced: watch::Sender::default(),
        })
    }

    /// Syncs when somebody waits, and once more at the end.
    fn run(&self) {
        let mut done = 0;
        loop {
            let (written, length_bytes) = {
                let mut tail = self.tail.lock();
                while tail.wanted <= done && !tail.closing {
                    self.wake.wait(&mut tail);
                }
                if tail.closing && tail.written == done {
                    return;
                }
                (tail.written, tail.length_bytes)
            };
            if let Err(error) = self.file.sync_data() {
                // Its pages may be gone: what was not synced is not known to be there, now or ever.
                return self.fail(&error.to_string());
            }
            done = written;
            self.synced.send_modify(|synced| synced.written = written);
            // A hint for whoever opens the book after a power cut; an old one does no harm.
            if let Some(mark) = &self.mark {
                drop(mark.write_all_at(0, book_file::mark_of(length_bytes).as_bytes()));
            }
        }
    }

    fn fail(&self, cause: &str) {
        let reason: Arc<str> = format!("the book {} failed: {cause}", self.path.display()).into();
        tracing::error!(event = "book_failed", %reason, "a participant answers no more until it is started again");
        self.tail.lock().failed = Some(Arc::clone(&reason));
        self.synced.send_modify(|synced| synced.failed = Some(reason));
    }
}

impl Journal for FileJournal {
    fn append(&self, entries: &[BookEntry]) -> Result<(), StoreError> {
        let Some(first) = entries.first() else { return Ok(()) };
        let mut text = String::with_capacity(192 * entries.len());
        entries.iter().for_each(|entry| entry.encode(&mut text));
        let book = self.book(first.role()).map_err(|reason| StoreError::Unavailable(reason.to_string()))?;
        let mut tail = book.tail.lock();
        if let Some(reason) = &tail.failed {
            return Err(StoreError::Unavailable(reason.to_string()));
        }
        let unavailable = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        let at = tail.length_bytes;
        if tail.torn {
            book.file.set_len(at).map_err(unavailable)?;
            tail.torn = false;
        }
        if let Err(error) = book.file.write_all_at(at, text.as_bytes()) {
            // Half a line may stand there. It is taken back, now or before the next one: nothing is written behind it, nor over it,
            // for of a longer half more would be left than a shorter line covers.
            tail.torn = book.file.set_len(at).is_err();
            return Err(unavailable(error));
        }
        tail.length_bytes = at + text.len() as u64;
        tail.written += 1;
        Ok(())
    }
}

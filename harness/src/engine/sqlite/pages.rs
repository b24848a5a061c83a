//! A page cache for SQLite in which connections share nothing.
//!
//! The bundled build of SQLite defines `SQLITE_ENABLE_MEMORY_MANAGEMENT`, which puts the pages of all connections of a
//! process into one group under one mutex. 16 threads with a database each spent more time on that mutex than on SQL. A
//! build flag would affect only this repository. So [`install`] replaces the cache at run time, for every user of the
//! `sqlite` feature, through SQLite's interface for that purpose: `SQLITE_CONFIG_PCACHE2`
//! (<https://www.sqlite.org/c3ref/pcache_methods2.html>).
//!
//! SQLite calls the methods of one cache only while it holds the lock of the connection (or of the shared cache) that
//! owns the pages, so a cache needs no lock of its own.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::{self, NonNull};

use rusqlite::ffi;

/// Makes SQLite use this cache from now on.
///
/// # Safety
/// No other thread may be initialising SQLite. If SQLite is initialised already, it refuses and keeps its own cache.
pub(super) unsafe fn install() {
    let mut methods = ffi::sqlite3_pcache_methods2 {
        iVersion: 1,
        pArg: ptr::null_mut(),
        xInit: Some(init),
        xShutdown: None,
        xCreate: Some(create),
        xCachesize: Some(set_size),
        xPagecount: Some(page_count),
        xFetch: Some(fetch),
        xUnpin: Some(unpin),
        xRekey: Some(rekey),
        xTruncate: Some(truncate),
        xDestroy: Some(destroy),
        xShrink: Some(shrink),
    };
    // SAFETY: the option takes a pointer to the methods, which SQLite copies before it returns; the caller guarantees
    // the rest.
    let _ = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_PCACHE2, &raw mut methods) };
}

/// A page in the cache. SQLite identifies it by its first field; the buffer is before it, the extra bytes are after it,
/// all in one allocation.
#[repr(C)]
struct Page {
    public: ffi::sqlite3_pcache_page,
    key: c_uint,
    /// The next page in the same bucket.
    next: *mut Page,
    /// Neighbours in the ring of unused pages; null while the page is in use.
    older: *mut Page,
    newer: *mut Page,
}

/// The pages of one database file, or of one database in memory.
struct Cache {
    layout: Layout,
    page_size: usize,
    extra_size: usize,
    /// Whether pages are copies of a file, so that unused ones may be dropped. Pages of a database in memory may not.
    purgeable: bool,
    /// The number of pages after which unused ones are reused.
    wanted: usize,
    /// The pages by `key` modulo the number of buckets, which is a power of two.
    buckets: Vec<*mut Page>,
    count: usize,
    unused: usize,
    largest_key: c_uint,
    /// The page that has been unused the longest, and the most recently unused one.
    oldest: *mut Page,
    newest: *mut Page,
}

/// The number of buckets of a new cache.
const BUCKETS: usize = 64;

impl Cache {
    /// A cache without pages; null if the sizes are invalid.
    fn new(page_size: usize, extra_size: usize, purgeable: bool) -> Option<Cache> {
        let size = page_size.checked_add(size_of::<Page>())?.checked_add(extra_size)?;
        let aligned = page_size.is_multiple_of(align_of::<Page>());
        let layout = Layout::from_size_align(size, align_of::<Page>()).ok().filter(|_| aligned)?;
        let mut buckets = Vec::new();
        buckets.try_reserve_exact(BUCKETS).ok()?;
        buckets.resize(BUCKETS, ptr::null_mut());
        Some(Cache {
            layout,
            page_size,
            extra_size,
            purgeable,
            wanted: 0,
            buckets,
            count: 0,
            unused: 0,
            largest_key: 0,
            oldest: ptr::null_mut(),
            newest: ptr::null_mut(),
        })
    }

    fn bucket(&self, key: c_uint) -> usize {
        key as usize & (self.buckets.len() - 1)
    }

    fn find(&self, key: c_uint) -> Option<NonNull<Page>> {
        let mut page = self.buckets[self.bucket(key)];
        // SAFETY: buckets hold live pages of this cache, each linked to the next one or to null.
        unsafe {
            while !page.is_null() && (*page).key != key {
                page = (*page).next;
            }
        }
        NonNull::new(page)
    }

    /// The page with this key, marked as in use; created if there is none and `create` (SQLite's `createFlag`) allows
    /// it.
    fn fetch(&mut self, key: c_uint, create: c_int) -> *mut Page {
        if let Some(page) = self.find(key) {
            self.take_from_ring(page.as_ptr());
            return page.as_ptr();
        }
        let in_use = self.count - self.unused;
        // With 1, SQLite prefers to write a page to the file and reuse it over growing the cache.
        if create == 0 || (create == 1 && self.purgeable && in_use >= self.wanted.saturating_mul(9) / 10) {
            return ptr::null_mut();
        }
        if self.purgeable && self.count >= self.wanted && !self.oldest.is_null() {
            let page = self.oldest;
            self.remove_from_bucket(page);
            self.take_from_ring(page);
            self.start(page, key);
            return page;
        }
        self.make(key)
    }

    /// A new page with this key, or null if there is no memory.
    fn make(&mut self, key: c_uint) -> *mut Page {
        if self.count >= self.buckets.len() {
            self.grow();
        }
        // SAFETY: the layout is not empty.
        let buffer = unsafe { alloc(self.layout) };
        if buffer.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: the page and its extra bytes are after the buffer, within the allocation, and aligned, because the
        // size of a buffer is a multiple of the alignment.
        unsafe {
            let page: *mut Page = buffer.add(self.page_size).cast();
            let extra = page.add(1).cast::<c_void>();
            page.write(Page {
                public: ffi::sqlite3_pcache_page { pBuf: buffer.cast(), pExtra: extra },
                key,
                next: ptr::null_mut(),
                older: ptr::null_mut(),
                newer: ptr::null_mut(),
            });
            self.count += 1;
            self.start(page, key);
            page
        }
    }

    /// Enters a page that is in no bucket under this key. SQLite recognises a new page by the zeros in its extra bytes.
    fn start(&mut self, page: *mut Page, key: c_uint) {
        // SAFETY: the page belongs to this cache, and was allocated with that many extra bytes.
        unsafe { (*page).public.pExtra.cast::<u8>().write_bytes(0, self.extra_size) };
        self.enter(page, key);
    }

    fn enter(&mut self, page: *mut Page, key: c_uint) {
        let bucket = self.bucket(key);
        // SAFETY: the page belongs to this cache.
        unsafe {
            (*page).key = key;
            (*page).next = self.buckets[bucket];
        }
        self.buckets[bucket] = page;
        self.largest_key = self.largest_key.max(key);
    }

    /// Doubles the number of buckets. If there is no memory for that, the buckets become longer.
    fn grow(&mut self) {
        let mut old = Vec::new();
        if old.try_reserve_exact(self.buckets.len() * 2).is_err() {
            return;
        }
        old.resize(self.buckets.len() * 2, ptr::null_mut());
        std::mem::swap(&mut old, &mut self.buckets);
        for mut page in old {
            while !page.is_null() {
                // SAFETY: the old buckets hold live pages of this cache; `enter` changes `next`, so it is read before.
                let (next, key) = unsafe { ((*page).next, (*page).key) };
                self.enter(page, key);
                page = next;
            }
        }
    }

    fn remove_from_bucket(&mut self, page: *mut Page) {
        // SAFETY: the page is in the bucket of its key; links are live pages of this cache or null.
        unsafe {
            let bucket = self.bucket((*page).key);
            let mut link: *mut *mut Page = &raw mut self.buckets[bucket];
            while *link != page {
                link = &raw mut (**link).next;
            }
            *link = (*page).next;
        }
    }

    /// Marks a page as unused: it becomes the most recent one.
    fn add_to_ring(&mut self, page: *mut Page) {
        // SAFETY: the page and the newest unused one are live pages of this cache.
        unsafe {
            if (*page).is_unused(self) {
                return;
            }
            (*page).older = self.newest;
            (*page).newer = ptr::null_mut();
            match self.newest.is_null() {
                true => self.oldest = page,
                false => (*self.newest).newer = page,
            }
        }
        self.newest = page;
        self.unused += 1;
    }

    /// Marks a page as in use, if it is not.
    fn take_from_ring(&mut self, page: *mut Page) {
        // SAFETY: the page and its neighbours are live pages of this cache.
        unsafe {
            if !(*page).is_unused(self) {
                return;
            }
            let (older, newer) = ((*page).older, (*page).newer);
            match older.is_null() {
                true => self.oldest = newer,
                false => (*older).newer = newer,
            }
            match newer.is_null() {
                true => self.newest = older,
                false => (*newer).older = older,
            }
            ((*page).older, (*page).newer) = (ptr::null_mut(), ptr::null_mut());
        }
        self.unused -= 1;
    }

    fn unpin(&mut self, page: *mut Page, discard: bool) {
        match discard || (self.purgeable && self.count > self.wanted) {
            true => self.drop_page(page),
            false => self.add_to_ring(page),
        }
    }

    fn rekey(&mut self, page: *mut Page, key: c_uint) {
        if let Some(other) = self.find(key).filter(|other| other.as_ptr() != page) {
            self.drop_page(other.as_ptr());
        }
        self.remove_from_bucket(page);
        self.enter(page, key);
    }

    /// Drops the pages from this key on, including those in use.
    fn truncate(&mut self, from: c_uint) {
        if from > self.largest_key {
            return;
        }
        if ((self.largest_key - from) as usize) < self.buckets.len() {
            for key in from..=self.largest_key {
                if let Some(page) = self.find(key) {
                    self.drop_page(page.as_ptr());
                }
            }
        } else {
            for bucket in 0..self.buckets.len() {
                let mut page = self.buckets[bucket];
                while !page.is_null() {
                    // SAFETY: buckets hold live pages; the link is read before the page is dropped.
                    let (next, key) = unsafe { ((*page).next, (*page).key) };
                    if key >= from {
                        self.drop_page(page);
                    }
                    page = next;
                }
            }
        }
        self.largest_key = from.saturating_sub(1);
    }

    /// Drops all unused pages.
    fn shrink(&mut self) {
        while !self.oldest.is_null() {
            self.drop_page(self.oldest);
        }
    }

    fn drop_page(&mut self, page: *mut Page) {
        self.take_from_ring(page);
        self.remove_from_bucket(page);
        self.count -= 1;
        // SAFETY: the page was allocated with this layout, its buffer is at the start of the allocation, and nothing in
        // this cache refers to it any more.
        unsafe { dealloc((*page).public.pBuf.cast(), self.layout) };
    }
}

impl Page {
    fn is_unused(&self, cache: &Cache) -> bool {
        !self.older.is_null() || !self.newer.is_null() || ptr::eq(cache.oldest, self)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.truncate(0);
    }
}

unsafe extern "C" fn init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn create(page_size: c_int, extra_size: c_int, purgeable: c_int) -> *mut ffi::sqlite3_pcache {
    let sizes = (usize::try_from(page_size), usize::try_from(extra_size));
    let (Ok(page_size), Ok(extra_size)) = sizes else { return ptr::null_mut() };
    match Cache::new(page_size, extra_size, purgeable != 0) {
        Some(cache) => Box::into_raw(Box::new(cache)).cast(),
        None => ptr::null_mut(),
    }
}

/// The cache behind SQLite's pointer.
///
/// # Safety
/// `cache` comes from [`create`], has not been destroyed, and no other thread uses it.
unsafe fn cache<'c>(cache: *mut ffi::sqlite3_pcache) -> &'c mut Cache {
    // SAFETY: guaranteed by the caller.
    unsafe { &mut *cache.cast::<Cache>() }
}

// SAFETY of all these functions: SQLite calls them with pointers that `create` and `fetch` returned, one call at a time for
// each cache.

unsafe extern "C" fn set_size(this: *mut ffi::sqlite3_pcache, pages: c_int) {
    // SAFETY: see above.
    unsafe { cache(this) }.wanted = usize::try_from(pages).unwrap_or(0);
}

unsafe extern "C" fn page_count(this: *mut ffi::sqlite3_pcache) -> c_int {
    // SAFETY: see above.
    c_int::try_from(unsafe { cache(this) }.count).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn fetch(
    this: *mut ffi::sqlite3_pcache,
    key: c_uint,
    create: c_int,
) -> *mut ffi::sqlite3_pcache_page {
    // SAFETY: see above. A page starts with the part that SQLite knows.
    unsafe { cache(this) }.fetch(key, create).cast()
}

unsafe extern "C" fn unpin(this: *mut ffi::sqlite3_pcache, page: *mut ffi::sqlite3_pcache_page, discard: c_int) {
    // SAFETY: see above.
    unsafe { cache(this) }.unpin(page.cast(), discard != 0);
}

unsafe extern "C" fn rekey(
    this: *mut ffi::sqlite3_pcache,
    page: *mut ffi::sqlite3_pcache_page,
    _old: c_uint,
    new: c_uint,
) {
    // SAFETY: see above.
    unsafe { cache(this) }.rekey(page.cast(), new);
}

unsafe extern "C" fn truncate(this: *mut ffi::sqlite3_pcache, from: c_uint) {
    // SAFETY: see above.
    unsafe { cache(this) }.truncate(from);
}

unsafe extern "C" fn destroy(this: *mut ffi::sqlite3_pcache) {
    // SAFETY: see above; SQLite does not use it afterwards.
    drop(unsafe { Box::from_raw(this.cast::<Cache>()) });
}

unsafe extern "C" fn shrink(this: *mut ffi::sqlite3_pcache) {
    // SAFETY: see above.
    unsafe { cache(this) }.shrink();
}

#[cfg(test)]
mod tests;

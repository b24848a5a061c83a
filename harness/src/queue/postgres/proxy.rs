//! A proxy to a server whose connections fail on request, for tests.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How the proxy treats data and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Way {
    /// All data is passed on.
    Open,
    /// Existing connections hang, as if a cable were cut; new ones work.
    Still,
    /// All connections hang, new ones too.
    AllStill,
    /// The proxy drops an answer of the server and cuts the connection: see [`Proxy::swallow`].
    Swallow,
}

/// Listens until it is dropped.
pub(super) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    way: AtomicU8,
    /// Connections of earlier generations hang.
    generation: AtomicU32,
    /// How many answers are passed on before one is dropped.
    passing: AtomicU32,
    swallowed: AtomicU32,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(super) fn new(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            way: AtomicU8::new(Way::Open as u8),
            generation: AtomicU32::new(0),
            passing: AtomicU32::new(0),
            swallowed: AtomicU32::new(0),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        // This thread ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                accepting.pass(client, server);
            }
        });
        Proxy { port, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://slt@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn set(&self, way: Way) {
        if way == Way::Still {
            self.shared.generation.fetch_add(1, Ordering::SeqCst);
        }
        self.shared.way.store(way as u8, Ordering::SeqCst);
    }

    /// After `passing` answers, the next one is dropped and its connection cut; then the proxy passes everything again.
    pub(super) fn swallow(&self, passing: u32) {
        self.shared.passing.store(passing, Ordering::SeqCst);
        self.set(Way::Swallow);
    }

    /// Cuts all existing connections.
    pub(super) fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn swallowed(&self) -> u32 {
        self.shared.swallowed.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn pass(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let generation = self.generation.load(Ordering::SeqCst);
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            self.streams.lock().unwrap().push(stream.try_clone().unwrap());
        }
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let shared = Arc::clone(self);
        thread::spawn(move || shared.copy(from, to, generation, false));
        let shared = Arc::clone(self);
        thread::spawn(move || shared.copy(server, client, generation, true));
    }

    fn stands_still(&self, generation: u32) -> bool {
        let way = self.way.load(Ordering::SeqCst);
        way == Way::AllStill as u8 || self.generation.load(Ordering::SeqCst) != generation
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, generation: u32, is_answer: bool) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            while self.stands_still(generation) {
                thread::sleep(Duration::from_millis(5));
            }
            let (armed, open) = (Way::Swallow as u8, Way::Open as u8);
            if is_answer && self.way.load(Ordering::SeqCst) == armed {
                let last = self.passing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                let is_it = last.is_err();
                if is_it && self.way.compare_exchange(armed, open, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    self.swallowed.fetch_add(1, Ordering::SeqCst);
                    break;
                }
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

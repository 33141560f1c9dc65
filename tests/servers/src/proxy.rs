//! A proxy that breaks connections where a test wants them broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Forward,
    CutAnswers,
    CutNextAnswer,
    Hold,
    Refuse,
}

/// A TCP proxy before a server on 127.0.0.1. It lives as long as the runtime of the test that started it.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    mode: watch::Sender<Mode>,
    connections: AtomicUsize,
    cut: AtomicUsize,
}

impl Proxy {
    /// Starts one that forwards.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target,
            mode: watch::Sender::new(Mode::Forward),
            connections: AtomicUsize::new(0),
            cut: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&accepting);
                tokio::spawn(async move {
                    // A connection that breaks is what this is for.
                    let _ = shared.serve(client).await;
                });
            }
        });
        Self { port, shared }
    }

    /// As a store's URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Forwards everything, as at the start.
    pub fn forward(&self) {
        self.shared.mode.send_replace(Mode::Forward);
    }

    /// Forwards requests, and closes the connection instead of delivering an answer: what was asked
    /// for was done.
    pub fn cut_answers(&self) {
        self.shared.mode.send_replace(Mode::CutAnswers);
    }

    /// The same for one answer only.
    pub fn cut_next_answer(&self) {
        self.shared.mode.send_replace(Mode::CutNextAnswer);
    }

    /// Takes connections, and forwards nothing.
    pub fn hold(&self) {
        self.shared.mode.send_replace(Mode::Hold);
    }

    /// Closes every connection at once.
    pub fn refuse(&self) {
        self.shared.mode.send_replace(Mode::Refuse);
    }

    /// How many connections clients made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections were closed in place of an answer.
    pub fn cut(&self) -> usize {
        self.shared.cut.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut mode = self.mode.subscribe();
        let mut server = TcpStream::connect(("127.0.0.1", self.target)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (mut request, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            let now = *mode.borrow_and_update();
            match now {
                Mode::Refuse => return Ok(()),
                Mode::Hold => {
                    // The sender is ours.
                    let _ = mode.changed().await;
                    continue;
                }
                Mode::Forward | Mode::CutAnswers | Mode::CutNextAnswer => {}
            }
            tokio::select! {
                biased;
                _ = mode.changed() => {}
                bytes = server.read(&mut answer) => {
                    let bytes = bytes?;
                    if bytes == 0 || self.cuts() {
                        return Ok(());
                    }
                    client.write_all(&answer[..bytes]).await?;
                }
                bytes = client.read(&mut request) => {
                    let bytes = bytes?;
                    if bytes == 0 {
                        return Ok(());
                    }
                    server.write_all(&request[..bytes]).await?;
                }
            }
        }
    }

    /// Whether the answer that just came is not to be delivered.
    fn cuts(&self) -> bool {
        let mut cuts = false;
        self.mode.send_if_modified(|mode| {
            cuts = matches!(mode, Mode::CutAnswers | Mode::CutNextAnswer);
            let was_next = *mode == Mode::CutNextAnswer;
            if was_next {
                *mode = Mode::Forward;
            }
            was_next
        });
        if cuts {
            self.cut.fetch_add(1, Ordering::SeqCst);
        }
        cuts
    }
}

//! A line between two processes that can be frozen, slowed down, and cut: a partition on one machine.

use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How bytes get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// As they come.
    Open,
    /// Each piece this much later.
    Slow(Duration),
    /// Not at all, and nobody is told: packets vanish.
    Frozen,
}

/// A proxy in front of one server, for as long as it lives.
pub struct Proxy {
    /// Its port on 127.0.0.1.
    pub port: u16,
    line: watch::Sender<Line>,
}

impl Proxy {
    /// Listens on a port of its own and connects to `port` on 127.0.0.1 for each who connects.
    pub async fn before(port: u16) -> Result<Self> {
        Self::before_at(0, port).await
    }

    /// The same on the port of one that is gone.
    pub async fn before_at(own: u16, port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", own)).await?;
        let own = listener.local_addr()?.port();
        let (line, state) = watch::channel(Line::Open);
        tokio::spawn(serve(listener, port, state));
        Ok(Self { port: own, line })
    }

    /// Changes how bytes get through, those of existing connections too.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn serve(listener: TcpListener, port: u16, line: watch::Receiver<Line>) {
    let mut end = line.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Ends with the proxy; a changed line is none of its business.
            changed = end.changed() => if changed.is_err() { return } else { continue },
        };
        let Ok((client, _)) = accepted else { return };
        let line = line.clone();
        tokio::spawn(async move {
            if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::join!(pump(from_client, to_server, line.clone()), pump(from_server, to_client, line));
            }
        });
    }
}

/// Moves bytes until either end closes or the proxy is gone.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut line: watch::Receiver<Line>) {
    let mut buffer = vec![0_u8; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        loop {
            let state = *line.borrow_and_update();
            match state {
                Line::Open => break,
                Line::Slow(delay) => {
                    tokio::time::sleep(delay).await;
                    break;
                }
                Line::Frozen if line.changed().await.is_err() => return,
                Line::Frozen => {}
            }
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

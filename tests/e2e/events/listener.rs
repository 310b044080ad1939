//! A client of `GET /v1/events`: server-sent events as the HTML standard reads them.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Response;
use serde_json::Value;

use super::SOON;

/// An open stream.
pub(super) struct Listener {
    response: Response,
    text: String,
    events: VecDeque<Sent>,
    last_id: String,
}

/// One event that was dispatched.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) data: Value,
}

impl Listener {
    pub(super) async fn open(url: &str, query: &str, last_event_id: Option<&str>) -> Result<Self> {
        let mut request = reqwest::Client::builder().build()?.get(format!("{url}/v1/events{query}"));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.header("accept-encoding", "gzip").send().await?;
        ensure!(response.status().is_success(), "{}", response.status());
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        ensure!(header("content-type") == Some("text/event-stream"), "{response:?}");
        ensure!(header("cache-control") == Some("no-cache"), "{response:?}");
        ensure!(header("content-encoding").is_none(), "{response:?}");
        let mut listener =
            Self { response, text: String::new(), events: VecDeque::new(), last_id: String::new() };
        // The first words say that it listens from now on.
        listener.read().await?;
        Ok(listener)
    }

    /// The next event of any kind.
    pub(super) async fn next(&mut self) -> Result<Sent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.read().await?;
        }
    }

    /// The next event, which must be about a verdict.
    pub(super) async fn verdict(&mut self) -> Result<Sent> {
        let event = self.next().await?;
        ensure!(event.kind == "verdict", "{event:?}");
        Ok(event)
    }

    async fn read(&mut self) -> Result<()> {
        let chunk = tokio::time::timeout(SOON, self.response.chunk()).await.context("no event in time")??;
        let Some(chunk) = chunk else { bail!("the stream ended") };
        self.text.push_str(std::str::from_utf8(&chunk)?);
        while let Some((block, rest)) = self.text.split_once("\n\n") {
            let (block, rest) = (block.to_owned(), rest.to_owned());
            self.text = rest;
            self.dispatch(&block)?;
        }
        Ok(())
    }

    fn dispatch(&mut self, block: &str) -> Result<()> {
        let (mut kind, mut data) = ("message", None);
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => id.clone_into(&mut self.last_id),
                Some(("event", name)) => kind = name,
                Some(("data", text)) => data = Some(text),
                Some(_) | None => {}
            }
        }
        if let Some(data) = data {
            let data = serde_json::from_str(data)?;
            self.events.push_back(Sent { id: self.last_id.clone(), kind: kind.to_owned(), data });
        }
        Ok(())
    }
}

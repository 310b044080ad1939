//! What the workers' logs say about who worked on what, and when; and the moments to kill somebody at.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tests::process::Process;

use super::dice::Dice;

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Some time.
    Any,
    /// In the middle of an image.
    Examining,
    /// When a verdict has just been stored, and the job is not settled yet.
    Stored,
}

impl Moment {
    /// Waits for the moment, no longer than `patience`; returns the time.
    pub(super) async fn wait(self, process: &Process, patience: Duration, dice: &mut Dice) -> Timestamp {
        let (line, spread) = match self {
            Self::Any => {
                tokio::time::sleep(Duration::from_millis(200 + dice.below(800))).await;
                return Timestamp::now();
            }
            Self::Examining => ("examining", 40_000),
            Self::Stored => ("verdict stored", 4_000),
        };
        let (before, deadline) = (process.log().len(), Instant::now() + patience);
        while !process.log_after(before).contains(line) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(dice.below(spread))).await;
        Timestamp::now()
    }
}

/// One run of one worker, which was killed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) worker: usize,
    pub(super) ended: Timestamp,
}

/// Somebody's work on one digest.
#[derive(Clone, Copy, Debug)]
struct Work {
    worker: usize,
    from: Timestamp,
    to: Timestamp,
}

/// Everything that is known about who did what.
#[derive(Default)]
pub(super) struct Traces {
    lives: Vec<Life>,
    pauses: Vec<Work>,
    works: BTreeMap<String, Vec<Work>>,
    killed_while_examining: usize,
    killed_before_settled: usize,
}

/// What the traces say in short.
pub(super) struct Summary {
    pub(super) examinations: usize,
    pub(super) digests: usize,
    pub(super) killed_while_examining: usize,
    pub(super) killed_before_settled: usize,
    pub(super) longest_overlap: Duration,
}

impl Traces {
    /// A worker was killed.
    pub(super) fn ended(&mut self, life: Life) {
        self.lives.push(life);
    }

    /// A worker stood still.
    pub(super) fn paused(&mut self, worker: usize, from: Timestamp, to: Timestamp) {
        self.pauses.push(Work { worker, from, to });
    }

    /// Reads a worker's log, a JSON object a line.
    pub(super) fn read(&mut self, worker: usize, log: &str) {
        let mut under_way: BTreeMap<String, Job> = BTreeMap::new();
        let lives = self.lives.clone();
        let mut ends = lives.iter().filter(|life| life.worker == worker).map(|life| life.ended).peekable();
        for line in log.lines() {
            // The last line of a killed process may be cut off.
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let Some(at) = line["timestamp"].as_str().and_then(|at| at.parse::<Timestamp>().ok()) else {
                continue;
            };
            let message = line["message"].as_str().unwrap_or_default();
            // Only the beginning of the next life tells that the last one is over.
            if message == "worker ready" && ends.peek().is_some_and(|end| *end < at) {
                let end = ends.next().unwrap_or(at);
                for job in std::mem::take(&mut under_way).into_values() {
                    self.killed(worker, job, end);
                }
            }
            let Some(id) = line["span"]["job.id"].as_str() else { continue };
            let job = under_way.entry(id.to_owned()).or_default();
            match message {
                "examining" => {
                    let digest = line["image.digest"].as_str().unwrap_or_default();
                    job.examining = Some((digest.to_owned(), at));
                }
                "image examined" => {
                    if let Some((digest, from)) = job.examining.take() {
                        self.worked(digest, Work { worker, from, to: at });
                    }
                }
                "verdict stored" => job.is_stored = true,
                "job done"
                | "job failed, to be tried again"
                | "job buried"
                | "job put off"
                | "job handed back" => {
                    if let Some((digest, from)) = under_way.remove(id).and_then(|job| job.examining) {
                        self.worked(digest, Work { worker, from, to: at });
                    }
                }
                _ => {}
            }
        }
        if let Some(end) = ends.next() {
            for job in under_way.into_values() {
                self.killed(worker, job, end);
            }
        }
    }

    fn killed(&mut self, worker: usize, job: Job, end: Timestamp) {
        if job.is_stored {
            self.killed_before_settled += 1;
        }
        if let Some((digest, from)) = job.examining {
            self.killed_while_examining += 1;
            self.worked(digest, Work { worker, from, to: end.max(from) });
        }
    }

    fn worked(&mut self, digest: String, work: Work) {
        self.works.entry(digest).or_default().push(work);
    }

    /// How long this work went on beside that one, without the time in which its worker stood still.
    fn overlap(&self, this: &Work, that: &Work) -> SignedDuration {
        let common = between(this, that);
        let still =
            self.pauses.iter().filter(|pause| pause.worker == this.worker || pause.worker == that.worker);
        let still = still.map(|pause| {
            let both = Work { from: this.from.max(that.from), to: this.to.min(that.to), ..*this };
            between(&both, pause)
        });
        common - still.sum::<SignedDuration>()
    }

    /// What it comes to.
    pub(super) fn summary(&self) -> Summary {
        let mut longest = SignedDuration::ZERO;
        for works in self.works.values() {
            for (at, this) in works.iter().enumerate() {
                for that in &works[at + 1..] {
                    longest = longest.max(self.overlap(this, that));
                }
            }
        }
        Summary {
            examinations: self.works.values().map(Vec::len).sum(),
            digests: self.works.len(),
            killed_while_examining: self.killed_while_examining,
            killed_before_settled: self.killed_before_settled,
            longest_overlap: longest.unsigned_abs(),
        }
    }
}

/// A job that its worker has not said the last word about.
#[derive(Default)]
struct Job {
    examining: Option<(String, Timestamp)>,
    is_stored: bool,
}

/// The time that two stretches have in common.
fn between(this: &Work, that: &Work) -> SignedDuration {
    this.to.min(that.to).duration_since(this.from.max(that.from)).max(SignedDuration::ZERO)
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} examinations of {} digests, {} broken off in the middle, {} killed between storing and settling, \
             at most {:?} of two workers at one digest",
            self.examinations,
            self.digests,
            self.killed_while_examining,
            self.killed_before_settled,
            self.longest_overlap
        )
    }
}

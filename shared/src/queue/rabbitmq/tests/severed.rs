//! What happens when the line to the broker is cut: through a proxy that can do so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::{RabbitmqConfig, RabbitmqQueue};
use super::Site;
use crate::model::job::Lane;
use crate::queue::contract::{self, Ground as _, SOON};
use crate::queue::{QueueError, Settlement, SharedQueue};

/// A line to the broker.
struct Line {
    state: watch::Sender<State>,
    port: u16,
}

/// Connections live as long as the state that they were made in.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Open { since: u32 },
    Shut,
}

impl Line {
    async fn to(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, seen) = watch::channel(State::Open { since: 0 });
        tokio::spawn(serve(listener, broker.to_owned(), seen));
        Self { state, port }
    }

    /// Cuts all connections; new ones can be made.
    fn cut(&self) {
        self.state.send_modify(|state| {
            *state = match *state {
                State::Open { since } => State::Open { since: since + 1 },
                State::Shut => State::Open { since: 0 },
            };
        });
    }

    /// Cuts all connections and lets none through until the next [`Line::cut`].
    fn shut(&self) {
        self.state.send_replace(State::Shut);
    }
}

async fn serve(listener: TcpListener, broker: String, seen: watch::Receiver<State>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let (broker, mut seen) = (broker.clone(), seen.clone());
        let born = *seen.borrow();
        tokio::spawn(async move {
            if born == State::Shut {
                return;
            }
            let mut server = TcpStream::connect(broker).await.expect("the test broker answers");
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                _ = seen.wait_for(|state| *state != born) => {}
            }
        });
    }
}

/// A queue over a line that can be cut, and one that cannot.
async fn queues(site: &Site, patience: Duration) -> (Line, SharedQueue, SharedQueue) {
    let direct = site.open(contract::quick(5)).await;
    let mut url = url::Url::parse(&site.url).unwrap();
    let broker = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5672));
    let line = Line::to(&broker).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(line.port)).unwrap();
    let config = RabbitmqConfig {
        url: String::from(url).into(),
        publish_timeout: patience,
        ..site.config(contract::quick(5))
    };
    let queue = RabbitmqQueue::connect(config).await.unwrap();
    (line, Arc::new(queue), direct)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_publishing_over_a_line_that_is_cut_again_and_again_loses_nothing() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let (line, queue, direct) = queues(&site, SOON).await;
        let jobs: Vec<_> = (0..400).map(|n| contract::job(Lane::ALL[n % 3])).collect();
        let publishes = jobs.iter().map(|job| queue.publish(job));
        let mut published = stream::iter(publishes).buffer_unordered(16).enumerate();
        while let Some((n, outcome)) = published.next().await {
            outcome.unwrap();
            if n % 50 == 25 {
                line.cut();
            }
        }
        let mut consumer = direct.consume(8).await.unwrap();
        let mut missing: BTreeSet<_> = jobs.iter().map(|job| job.id).collect();
        while !missing.is_empty() {
            let delivery = contract::next(&mut consumer).await;
            missing.remove(&delivery.job.id);
            delivery.settle(Settlement::Done).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_a_delivery_from_before_a_cut_is_stale_and_comes_again() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let (line, queue, direct) = queues(&site, SOON).await;
        let mut consumer = queue.consume(1).await.unwrap();
        let job = contract::job(Lane::Push);
        direct.publish(&job).await.unwrap();
        let before = contract::next(&mut consumer).await;
        line.cut();
        // Held by nobody, the job is free for anybody: here for the consumer over the sound line.
        let mut sound = direct.consume(1).await.unwrap();
        let again = contract::next(&mut sound).await;
        assert_eq!((&again.job, again.attempt), (&job, 2));
        let stale = before.settle(Settlement::Done).await;
        assert!(matches!(stale, Err(QueueError::Stale(id)) if id == job.id), "{stale:?}");
        again.settle(Settlement::Done).await.unwrap();
        sound.stop().await;
        // The consumer has noticed nothing.
        let next = contract::job(Lane::Urgent);
        direct.publish(&next).await.unwrap();
        let after = contract::next(&mut consumer).await;
        assert_eq!((&after.job, after.attempt), (&next, 1));
        after.settle(Settlement::Done).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_over_a_line_that_is_cut_again_and_again_does_every_job() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let (line, queue, direct) = queues(&site, SOON).await;
        let mut missing = BTreeSet::new();
        for n in 0..60 {
            let job = contract::job(Lane::ALL[n % 3]);
            direct.publish(&job).await.unwrap();
            missing.insert(job.id);
        }
        let mut consumer = queue.consume(4).await.unwrap();
        let mut taken = 0;
        while !missing.is_empty() {
            let delivery = contract::next(&mut consumer).await;
            taken += 1;
            let id = delivery.job.id;
            if taken % 20 == 10 {
                line.cut();
            }
            // Written before the cut was noticed, an ack may be lost without a sound; the job then comes
            // again, and nothing here depends on which of the two happens.
            if delivery.settle(Settlement::Done).await.is_ok() {
                missing.remove(&id);
            }
        }
        consumer.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_reported_in_time_and_passes() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let patience = Duration::from_millis(500);
        let (line, queue, direct) = queues(&site, patience).await;
        queue.ping().await.unwrap();
        line.shut();
        let job = contract::job(Lane::Push);
        let begun = std::time::Instant::now();
        let failed = queue.publish(&job).await;
        assert!(matches!(failed, Err(QueueError::Unavailable { .. })), "{failed:?}");
        assert!(begun.elapsed() < 4 * patience, "{:?}", begun.elapsed());
        assert!(queue.ping().await.is_err());
        assert!(queue.status().await.is_err());
        line.cut();
        contract::until(async || queue.publish(&job).await.is_ok()).await;
        queue.ping().await.unwrap();
        let mut consumer = direct.consume(1).await.unwrap();
        assert_eq!(contract::next(&mut consumer).await.job, job);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_dropped_during_an_outage_leaves_nothing_running() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let (line, queue, direct) = queues(&site, SOON).await;
        let mut consumer = queue.consume(1).await.unwrap();
        line.shut();
        contract::until(async || queue.ping().await.is_err()).await;
        consumer.stop().await;
        assert!(consumer.next().await.is_none());
        drop((consumer, queue));
        line.cut();
        // The only taker left is the one that asks.
        let _other = direct.consume(1).await.unwrap();
        contract::status(&direct, |status| status.lanes[0].consumers == Some(1)).await;
    })
    .await;
}

//! What happens when the line to the broker is cut: through a proxy that can do so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::{RabbitmqConfig, RabbitmqQueue};
use super::Site;
use crate::model::job::Lane;
use crate::queue::contract::{self, Ground as _, SOON};
use crate::queue::{JobQueue as _, QueueError, Settlement, SharedQueue};

/// A line to the broker.
struct Line {
    state: watch::Sender<State>,
    port: u16,
}

/// Connections live as long as the state that they were made in.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Open {
        since: u32,
    },
    Shut,
    /// The broker closed the connections of before, as an operator makes it do.
    Dismissed,
    /// On the connections of before nothing travels any more, and nobody is told.
    Frozen,
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
                State::Shut | State::Dismissed | State::Frozen => State::Open { since: 0 },
            };
        });
    }

    /// Cuts all connections and lets none through until the next [`Line::cut`].
    fn shut(&self) {
        self.state.send_replace(State::Shut);
    }

    /// Has the broker, as it seems, close all connections; new ones can be made. Only while nothing else
    /// travels, for a frame must not be cut in two.
    fn dismiss(&self) {
        self.state.send_replace(State::Dismissed);
    }

    /// Lets nothing travel on the connections that there are; new ones can be made.
    fn freeze(&self) {
        self.state.send_replace(State::Frozen);
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
            if *seen.borrow() == State::Dismissed && born != State::Dismissed {
                client.write_all(&connection_close()).await.unwrap();
                drop(server);
                // Until the client has said its last word.
                let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
                return;
            }
            let _ = seen.wait_for(|state| *state != State::Frozen).await;
        });
    }
}

/// The frame of AMQP 0-9-1 `connection.close` with code 320, CONNECTION_FORCED.
fn connection_close() -> Vec<u8> {
    let text = b"CONNECTION_FORCED - by the test";
    let mut method = vec![0, 10, 0, 50, 1, 64, u8::try_from(text.len()).unwrap()];
    method.extend(text);
    method.extend([0; 4]);
    let mut frame = vec![1, 0, 0];
    frame.extend(u32::try_from(method.len()).unwrap().to_be_bytes());
    frame.extend(method);
    frame.push(0xce);
    frame
}

/// A queue over a line that can be cut, and one that cannot.
async fn queues(site: &Site, patience: Duration) -> (Line, RabbitmqQueue, SharedQueue) {
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
    (line, queue, direct)
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
        let (line, queue, _direct) = queues(&site, SOON).await;
        let mut consumer = queue.consume(1).await.unwrap();
        line.shut();
        contract::until(async || queue.ping().await.is_err()).await;
        consumer.stop().await;
        assert!(consumer.next().await.is_none());
        let broker = Arc::downgrade(&queue.post.broker);
        drop((consumer, queue));
        contract::until(async || broker.strong_count() == 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_closed_by_the_broker_is_made_again() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let (line, queue, direct) = queues(&site, SOON).await;
        let mut consumer = queue.consume(1).await.unwrap();
        contract::status(&direct, |status| status.lanes[0].consumers == Some(1)).await;
        contract::nothing(&mut consumer).await;
        line.dismiss();
        for lane in Lane::ALL {
            let job = contract::job(lane);
            queue.publish(&job).await.unwrap();
            let delivery = contract::next(&mut consumer).await;
            assert_eq!((&delivery.job, delivery.attempt), (&job, 1));
            delivery.settle(Settlement::Done).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_line_is_noticed_by_its_missing_heartbeats() {
    let mut site = Site::new();
    site.url.push_str("?heartbeat=1");
    contract::on_ground(&site, async {
        let (line, queue, _direct) = queues(&site, Duration::from_millis(200)).await;
        let mut consumer = queue.consume(1).await.unwrap();
        let job = contract::job(Lane::Push);
        line.freeze();
        let late = queue.publish(&job).await;
        assert!(matches!(late, Err(QueueError::NotConfirmed(_))), "{late:?}");
        contract::until(async || queue.publish(&job).await.is_ok()).await;
        assert_eq!(contract::next(&mut consumer).await.job, job);
        contract::until(async || queue.ping().await.is_ok()).await;
    })
    .await;
}

//! Many publishes under way on one channel: each has its own answer.

use std::sync::Arc;

use futures_util::future::join_all;
use lapin::BasicProperties;
use lapin::options::BasicGetOptions;

use super::super::broker::Broker;
use super::super::line::{Line, Outgoing, Routing};
use super::super::message::PERSISTENT;
use super::Site;
use crate::model::job::{JobId, Lane};
use crate::queue::QueueError;
use crate::queue::contract::{self, SOON};

/// How many publish at a time, and how many messages each.
const PUBLISHERS: usize = 48;
const MESSAGES: usize = 40;

/// A message to a lane, or to where no queue is.
fn outgoing(site: &Site, key: &str, routing: Routing) -> (String, Outgoing) {
    let id = JobId::new().to_string();
    let properties =
        BasicProperties::default().with_delivery_mode(PERSISTENT).with_message_id(id.as_str().into());
    let message = Outgoing {
        exchange: site.names().jobs,
        routing_key: key.into(),
        routing,
        body: id.clone().into_bytes(),
        properties,
    };
    (id, message)
}

/// The library attaches a return to the next confirm, whosever it is: this is about telling them apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i1_in_a_steady_stream_exactly_the_unroutable_messages_are_refused() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let broker = Broker::connect(&site.config(contract::quick(3))).await.unwrap();
        let line = Line::new(Arc::new(broker), SOON);
        // Every publisher waits for its answer before it goes on. Some of them lose messages, several at about the
        // same time, so that returns meet the confirms of others, and each other; in between the stream runs.
        let publishers = (0..PUBLISHERS).map(async |publisher| {
            let mut stored = Vec::new();
            for number in 0..MESSAGES {
                let lost = publisher % 3 == 0 && number % 8 == 3;
                let key = if lost { "nowhere" } else { Lane::Push.name() };
                let (id, message) = outgoing(&site, key, Routing::Required);
                let answer = line.publish(message).await;
                match (lost, &answer) {
                    (true, Err(QueueError::Refused(reason))) => {
                        assert!(reason.contains("nowhere"), "{reason}");
                    }
                    (false, Ok(())) => stored.push(id),
                    (true | false, _) => panic!("unroutable: {lost}, answered {answer:?}"),
                }
            }
            stored
        });
        let mut stored: Vec<_> = join_all(publishers).await.into_iter().flatten().collect();
        let (_connection, channel) = site.channel().await;
        let mut found = Vec::new();
        let all = BasicGetOptions { no_ack: true };
        while let Some(message) = channel.basic_get(site.names().lane(Lane::Push), all).await.unwrap() {
            found.push(String::from_utf8(message.delivery.data).unwrap());
        }
        stored.sort();
        found.sort();
        // Every one that was confirmed, and none of them twice.
        assert_eq!(stored, found);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_window_at_once_is_all_answered_for() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let broker = Broker::connect(&site.config(contract::quick(3))).await.unwrap();
        let line = Line::new(Arc::new(broker), SOON);
        // Nobody hears the optional ones, which is no reason to stop the others.
        let published = (0..3000).map(|number| match number % 3 {
            0 => line.publish(outgoing(&site, "nowhere", Routing::Optional).1),
            _ => line.publish(outgoing(&site, Lane::Push.name(), Routing::Required).1),
        });
        for answer in join_all(published).await {
            answer.unwrap();
        }
        let queue = contract::Ground::open(&site, contract::quick(3)).await;
        contract::status(&queue, |status| status.lanes[1].ready == 2000).await;
    })
    .await;
}

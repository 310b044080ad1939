//! What is told on the topic exchange reaches every queue that was bound for it, once.

use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};

use super::*;
use crate::queue::rabbitmq::Notice;

fn notice(id: &str, keys: &[&str]) -> Notice {
    Notice {
        id: id.to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        media_type: "application/cloudevents+json",
        at: "2026-03-02T09:31:40Z".parse().unwrap(),
        body: id.as_bytes().to_vec(),
    }
}

/// A queue of somebody downstream, gone with its connection.
async fn bound(site: &Site, channel: &Channel, pattern: &str) -> ShortString {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
    let bound = channel.queue_bind(
        queue.name().clone(),
        site.names().verdicts,
        pattern.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    queue.name().clone()
}

async fn received(channel: &Channel, queue: &ShortString) -> Vec<String> {
    let mut ids = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel.basic_get(queue.clone(), options).await.unwrap() {
        let properties = &message.delivery.properties;
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/cloudevents+json");
        assert_eq!(*properties.delivery_mode(), Some(2));
        let id = properties.message_id().as_ref().unwrap().to_string();
        assert_eq!(message.delivery.data, id.as_bytes());
        ids.push(id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn every_queue_with_a_matching_pattern_gets_a_notice_once() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let queue = RabbitmqQueue::connect(site.config(contract::quick(3))).await.unwrap();
        let topic = queue.topic();
        // Nobody listens, and that is no error.
        topic.publish(&notice("0", &["verdict.pass.r_io.team.app"])).await.unwrap();
        let (_connection, channel) = site.channel().await;
        let all = bound(&site, &channel, "verdict.#").await;
        let fails = bound(&site, &channel, "verdict.fail.#").await;
        let team = bound(&site, &channel, "verdict.*.r_io.team.#").await;
        topic.publish(&notice("1", &["verdict.pass.r_io.team.app"])).await.unwrap();
        topic.publish(&notice("2", &["verdict.fail.r_io.other.app"])).await.unwrap();
        // Seen in three places: each queue gets it once, whichever of them it asked for.
        let keys = ["verdict.fail.m_io.x", "verdict.fail.r_io.team.app", "verdict.fail.r_io.team.b.c"];
        topic.publish(&notice("3", &keys)).await.unwrap();
        topic.publish(&notice("4", &[&"x".repeat(600)])).await.unwrap();
        assert_eq!(received(&channel, &all).await, ["1", "2", "3"]);
        assert_eq!(received(&channel, &fails).await, ["2", "3"]);
        assert_eq!(received(&channel, &team).await, ["1", "3"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_somebody_deleted_is_declared_again() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let queue = RabbitmqQueue::connect(site.config(contract::quick(3))).await.unwrap();
        let topic = queue.topic();
        let (_connection, channel) = site.channel().await;
        let deleted = channel.exchange_delete(site.names().verdicts, Default::default());
        deleted.await.unwrap();
        contract::until(async || topic.publish(&notice("1", &["verdict.pass.a.b"])).await.is_ok()).await;
    })
    .await;
}
